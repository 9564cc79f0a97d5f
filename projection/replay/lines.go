package replay

// compareLines writes two texts as one: lines of both with a blank before them, those of a alone with -, those of b alone with
// +. Without a difference it is nil. It takes len(a)·len(b) steps, of which SDPs and replies have few; longer texts are told
// one after the other.
func compareLines(a, b []string) []string {
	const most = 1 << 20
	if len(a)*len(b) > most {
		return append(signed("-", a), signed("+", b)...)
	}
	// common[i][j] is how many lines a[i:] and b[j:] have in common, in order.
	common := make([][]int, len(a)+1)
	for i := range common {
		common[i] = make([]int, len(b)+1)
	}
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			if a[i] == b[j] {
				common[i][j] = common[i+1][j+1] + 1
			} else {
				common[i][j] = max(common[i+1][j], common[i][j+1])
			}
		}
	}
	var out []string
	same := true
	for i, j := 0, 0; i < len(a) || j < len(b); {
		switch {
		case i < len(a) && j < len(b) && a[i] == b[j]:
			out = append(out, " "+a[i])
			i, j = i+1, j+1
		case i < len(a) && (j == len(b) || common[i+1][j] >= common[i][j+1]):
			out, same = append(out, "-"+a[i]), false
			i++
		default:
			out, same = append(out, "+"+b[j]), false
			j++
		}
	}
	if same {
		return nil
	}
	return out
}

func signed(sign string, list []string) []string {
	out := make([]string, len(list))
	for i, l := range list {
		out[i] = sign + l
	}
	return out
}
