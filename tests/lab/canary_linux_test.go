package lab

import "testing"

func TestCanaryKnowsHowLateItWas(t *testing.T) {
	c := NewCanary()
	eventually(t, "some lateness", func() bool { return c.worst.Load() > 0 })
	if late := c.Stop(); late <= 0 {
		t.Errorf("it was %v late", late)
	}
}
