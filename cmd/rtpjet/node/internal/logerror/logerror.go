// Package logerror translates between the log and those who decide: package embed and the pure packages do not know each other.
package logerror

import (
	"errors"
	"fmt"

	"rtpjet/embed"
	"rtpjet/projection/transact"
)

// Of gives the errors of a log ([embed.ErrConflict], [embed.ErrUnavailable]) the names that transactions know ([transact.ErrConflict],
// [transact.ErrUncertain]), beside their own. Others stay as they are, and so does nil.
func Of(err error) error {
	switch {
	case errors.Is(err, embed.ErrConflict):
		return fmt.Errorf("%w: %w", transact.ErrConflict, err)
	case errors.Is(err, embed.ErrUnavailable):
		return fmt.Errorf("%w: %w", transact.ErrUncertain, err)
	}
	return err
}
