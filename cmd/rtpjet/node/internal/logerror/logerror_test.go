package logerror_test

import (
	"errors"
	"fmt"
	"testing"

	"rtpjet/cmd/rtpjet/node/internal/logerror"
	"rtpjet/embed"
	"rtpjet/projection/transact"
)

func TestOf(t *testing.T) {
	other := errors.New("something else")
	for _, c := range []struct {
		err  error
		want []error // all of these match
		not  []error
	}{
		{fmt.Errorf("append: %w", embed.ErrConflict), []error{transact.ErrConflict, embed.ErrConflict}, []error{transact.ErrUncertain}},
		{fmt.Errorf("append: %w", embed.ErrUnavailable), []error{transact.ErrUncertain, embed.ErrUnavailable}, []error{transact.ErrConflict}},
		{other, []error{other}, []error{transact.ErrConflict, transact.ErrUncertain}},
	} {
		got := logerror.Of(c.err)
		for _, want := range c.want {
			if !errors.Is(got, want) {
				t.Errorf("%v does not match %v", got, want)
			}
		}
		for _, not := range c.not {
			if errors.Is(got, not) {
				t.Errorf("%v matches %v", got, not)
			}
		}
	}
	if err := logerror.Of(nil); err != nil {
		t.Errorf("nil became %v", err)
	}
}
