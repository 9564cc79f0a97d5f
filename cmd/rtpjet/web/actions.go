package web

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"time"

	"rtpjet/cmd/rtpjet/httpd"
)

// maxBody bounds what comes with a request.
const maxBody = 4 << 10

// order is what comes with a request that changes something.
type order struct {
	Move bool   `json:"move"` // drain: its floats move to others
	To   string `json:"to"`   // move: where to
}

// actions mounts what changes something. All of it wants the token.
func (h *handler) actions(mux *http.ServeMux) {
	post := func(pattern string, f func(Source, *http.Request, order) (string, error)) {
		mux.Handle("POST /api/v1/"+pattern, httpd.Limit(maxPages, h.authorised(h.with(func(s Source, w http.ResponseWriter, r *http.Request) {
			var o order
			body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
			if err == nil && len(body) > 0 {
				err = json.Unmarshal(body, &o)
			}
			if err != nil {
				fail(w, http.StatusBadRequest, "the body must be a JSON object")
				return
			}
			// The listener's deadlines are for questions; this may take its time, and an operator waits for it.
			rc := http.NewResponseController(w)
			_, _ = rc.SetReadDeadline(time.Time{}), rc.SetWriteDeadline(time.Time{})
			text, err := f(s, r, o)
			h.forget() // who has asked for it wants to see it
			h.cfg.Log.Info("an operator has asked for something on the web page", "what", r.URL.Path, "from", r.RemoteAddr, "err", err)
			if err != nil {
				fail(w, http.StatusConflict, err.Error())
				return
			}
			reply(w, map[string]string{"done": text})
		}))))
	}
	post("nodes/{node}/drain", func(s Source, r *http.Request, o order) (string, error) {
		return s.Drain(r.Context(), r.PathValue("node"), true, o.Move)
	})
	post("nodes/{node}/undrain", func(s Source, r *http.Request, _ order) (string, error) {
		return s.Drain(r.Context(), r.PathValue("node"), false, false)
	})
	post("nodes/{node}/takeover", func(s Source, r *http.Request, _ order) (string, error) {
		return s.Takeover(r.Context(), r.PathValue("node"))
	})
	post("floats/{float}/move", func(s Source, r *http.Request, o order) (string, error) {
		return s.Move(r.Context(), r.PathValue("float"), o.To)
	})
	mux.Handle("POST /api/v1/token", h.authorised(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		reply(w, map[string]string{"done": "the token is right"})
	})))
}

// authorised lets only those through who say the token. A browser never says it by itself.
func (h *handler) authorised(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if h.cfg.Token == "" {
			fail(w, http.StatusForbidden, "this page is for looking only: the node was started without --http-token-file")
			return
		}
		scheme, said, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		if !strings.EqualFold(scheme, "Bearer") || !same(said, h.cfg.Token) {
			w.Header().Set("WWW-Authenticate", `Bearer realm="rtpjet"`)
			fail(w, http.StatusUnauthorized, "the token is missing or wrong; nothing was changed")
			return
		}
		next.ServeHTTP(w, r)
	})
}

// same compares in a time that tells neither where two texts differ nor how long they are.
func same(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}
