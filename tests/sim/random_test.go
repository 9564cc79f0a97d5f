package sim

// Random gives keys of the world's own chance, so that a seed makes them again.
func (p *proc) Random(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(p.n.w.rng.Uint32())
	}
	return b
}

// Random gives the same key each time: only what becomes of a command is of interest here.
