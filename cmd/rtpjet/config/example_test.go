package config_test

import (
	"context"
	"errors"
	"fmt"

	"rtpjet/cmd/rtpjet/config"
)

// A file of rtpengine as it is; what the command line says replaces what the file says.
func ExampleParseArgs() {
	env := config.Env{ReadFile: func(string) ([]byte, error) {
		return []byte("[rtpengine]\ninterface = pub/192.0.2.1!203.0.113.1\nlisten-ng = 2223\ntos = 184\nrecording-dir = /var/spool\n"), nil
	}}
	cmd, err := config.ParseArgs(context.Background(), []string{"serve", "--tos=46", "--timeout", "90"}, env)
	if err != nil {
		fmt.Println(err)
		return
	}
	one := cmd.Config.Interfaces.All()[0]
	fmt.Println(cmd.Name, one.Name, one.Addr, one.Advertised, cmd.Config.TOS, cmd.Config.Timeout)
	fmt.Println(cmd.Config.Warnings)
	// Output:
	// serve pub 192.0.2.1 203.0.113.1 46 1m30s
	// [/etc/rtpengine/rtpengine.conf, line 5: recording-dir has no effect in rtpjet]
}

// All that is wrong is told at once, a sentence a line.
func ExampleParseArgs_mistakes() {
	_, err := config.ParseArgs(context.Background(), []string{"serve", "--config-file=none", "-i", "192.0.2.1", "-n", "here", "--tos=300"}, config.Env{})
	fmt.Println(err)
	fmt.Println(errors.Is(err, config.ErrUsage))
	// Output:
	// --tos is "300"; it must be a whole number from 0 to 255
	// -n is "here"; it must be [ADDR:]PORT, such as 127.0.0.1:2223
	// true
}
