// Command gencodec writes the codec of a package's types, without reflection, into the folder in which go generate runs it. Package gen says what it makes of which types.
package main

import (
	"fmt"
	"os"

	"rtpjet/tools/gencodec/gen"
)

func main() {
	if err := run("."); err != nil {
		fmt.Fprintln(os.Stderr, "gencodec:", err)
		os.Exit(1)
	}
}

func run(folder string) error {
	files, err := gen.Generate(folder)
	if err != nil {
		return err
	}
	return gen.Write(folder, files)
}
