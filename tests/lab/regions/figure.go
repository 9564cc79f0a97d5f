package main

func (r runs) writeFigure(dir string) error { return nil }
