package config

import (
	"errors"
	"fmt"
	"io/fs"
)

// ErrUsage marks errors in what the operator wrote: the command line, or the configuration file.
var ErrUsage = errors.New("wrong usage")

// usageError is a sentence about what the operator wrote.
type usageError string

func (e usageError) Error() string { return string(e) }

// Is makes the error match [ErrUsage].
func (e usageError) Is(target error) bool { return target == ErrUsage }

// faultList gathers faults, so that all of them are told at once.
type faultList struct{ list []error }

func (f *faultList) add(format string, args ...any) {
	f.list = append(f.list, usageError(fmt.Sprintf(format, args...)))
}

func (f *faultList) addErr(err error) {
	if err != nil {
		f.list = append(f.list, err)
	}
}

// err joins the faults, one a line; nil if there is none.
func (f *faultList) err() error { return errors.Join(f.list...) }

// PathReason is what is wrong with a file, for a sentence that names it already.
func PathReason(err error) error {
	var e *fs.PathError
	if errors.As(err, &e) {
		return e.Err
	}
	return err
}
