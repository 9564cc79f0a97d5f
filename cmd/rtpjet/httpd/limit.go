package httpd

import (
	"net/http"
	"time"
)

// Limit lets at most so many requests reach h at once. One that has waited for its turn too long is answered with 503.
func Limit(num int, h http.Handler) http.Handler {
	turns := make(chan struct{}, num)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case turns <- struct{}{}:
		default:
			patience := time.NewTimer(accessTimeout)
			defer patience.Stop()
			select {
			case turns <- struct{}{}:
			case <-r.Context().Done():
				return
			case <-patience.C:
				http.Error(w, "too many requests at once", http.StatusServiceUnavailable)
				return
			}
		}
		defer func() { <-turns }()
		h.ServeHTTP(w, r)
	})
}
