// Program fold writes what the build that it is compiled with makes of a corpus; see the comment of package oldlogs.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"rtpjet/tests/oldlogs"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: fold DIRECTORY")
		os.Exit(2)
	}
	if err := fold(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func fold(dir string) error {
	files, err := oldlogs.Files(dir)
	if err != nil {
		return err
	}
	for _, file := range files {
		calls, err := oldlogs.Calls(file)
		if err != nil {
			return err
		}
		if err := os.WriteFile(oldlogs.StateFile(file), oldlogs.AppendStates(nil, calls), 0o644); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(dir, "fields.txt"), []byte(strings.Join(oldlogs.Fields(), "\n")+"\n"), 0o644)
}
