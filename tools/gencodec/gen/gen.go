// Package gen makes a JSON codec of the types of a package: methods of its encoder, which embeds a compactjson.Writer, and of
// its decoder, which embeds a compactjson.Reader. Both types are written by hand.
//
// It begins with the types marked
//
//	//gencodec:root
//
// and goes on with those that they are made of. A struct T gets the methods encoder.t and decoder.t; each field has a json tag,
// which means what it means to encoding/json. An interface with one method stands for its implementations, which are told apart
// by the constant that the method returns: it gets encoder.t, decoder.t and a function unmarshalT, which calls the package's
// unmarshal[T] and reads what the decoder gives up on.
//
// What a type alone does not say is said in one of two ways, each a method that the generated code calls with a pointer (and an
// encoder's with a list itself):
//
//   - A method of the encoder or decoder that has the name of a type, or of a list of it (codecList for []Codec), and that is
//     written by hand, takes the place of the one that would be generated.
//   - A field tagged read:"name" is read by the decoder's method of that name.
//
// Only the syntax of the package is looked at: it need not compile, as it does not while its codec is being made.
package gen

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
)

// Files are the names of the generated files: the roots, and what they are made of.
var Files = []string{"encode_gen.go", "encode_parts_gen.go", "decode_gen.go", "decode_parts_gen.go"}

// Generate returns the files for the package in a folder, by name. It reads the folder and writes nothing.
func Generate(folder string) (map[string][]byte, error) {
	p, err := load(folder)
	if err != nil {
		return nil, err
	}
	m, err := p.model()
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{}
	for i, write := range []func(*source, bool){m.encoder, m.encoder, m.decoder, m.decoder} {
		var s source
		write(&s, i%2 == 0)
		if files[Files[i]], err = s.file(p.name); err != nil {
			return nil, err
		}
	}
	return files, nil
}

// Write writes the files that differ from what is there.
func Write(folder string, files map[string][]byte) error {
	for name, want := range files {
		path := filepath.Join(folder, name)
		if have, err := os.ReadFile(path); err == nil && bytes.Equal(have, want) {
			continue
		}
		if err := os.WriteFile(path, want, 0o644); err != nil {
			return fmt.Errorf("write codec: %w", err)
		}
	}
	return nil
}

// Stale returns an error if the files in a folder are not those that Generate makes.
func Stale(folder string) error {
	files, err := Generate(folder)
	if err != nil {
		return err
	}
	for name, want := range files {
		have, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil {
			return fmt.Errorf("read codec: %w", err)
		}
		if !bytes.Equal(have, want) {
			return fmt.Errorf("%s is stale: run go generate", name)
		}
	}
	return nil
}
