// Package compactjson writes and reads JSON in one form, without reflection: no blanks, keys and values as encoding/json
// spells them without its escapes for HTML. It is what generated codecs are made of (tools/gencodec): a codec embeds a Writer
// in its encoder and a Reader in its decoder.
//
// What the Writer gives is what encoding/json gives for the same values. The Reader reads that form alone and gives up on
// everything else, which then is a case for encoding/json: it never reads what encoding/json refuses or reads otherwise.
//
// The package is pure: no I/O, clock, randomness, lock or goroutine. A Writer or Reader belongs to one goroutine.
package compactjson
