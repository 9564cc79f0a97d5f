package netaddr

import "errors"

// Exec stands in.
type Exec struct{ None }

// OpenExec stands in.
func OpenExec(string, Config) (*Exec, error) { return nil, errors.ErrUnsupported }
