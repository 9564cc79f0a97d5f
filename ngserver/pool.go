package ngserver

import "sync"

// pool runs jobs, at most max at once. Jobs beyond that wait in a queue; when it is full, submit says no and the command is
// refused with an error: the client should hear of it now, not after its timeouts.
type pool struct {
	max int
	run func(*job)

	mu      sync.Mutex
	running int
	queue   []*job // ring
	head, n int
	parked  []chan *job // of goroutines without work, the latest last: their stacks have grown to what a command takes

	ended bool
	idle  sync.WaitGroup // one for each goroutine, parked ones included
}

// maxParked bounds the goroutines that wait for work.
const maxParked = 64

func newPool(max, queue int, run func(*job)) *pool {
	return &pool{max: max, run: run, queue: make([]*job, queue)}
}

// submit starts or queues a job and tells whether there was room. It does not block.
func (p *pool) submit(j *job) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.parked); n > 0 {
		p.parked[n-1] <- j // has room for one
		p.parked = p.parked[:n-1]
		p.running++
		return true
	}
	if p.running < p.max {
		p.running++
		p.idle.Add(1)
		go p.work(j)
		return true
	}
	if p.n == len(p.queue) {
		return false
	}
	p.queue[(p.head+p.n)%len(p.queue)] = j
	p.n++
	return true
}

// work runs a job, then what is in the queue, and then what comes until the pool ends.
func (p *pool) work(j *job) {
	defer p.idle.Done()
	own := make(chan *job, 1)
	for j != nil {
		p.run(j)
		var parked bool
		if j, parked = p.next(own); parked {
			j = <-own
		}
	}
}

// next takes a job from the queue, or parks the goroutine whose channel own is; nil if neither.
func (p *pool) next(own chan *job) (j *job, parked bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.n == 0 {
		p.running--
		if p.ended || len(p.parked) >= maxParked {
			return nil, false
		}
		p.parked = append(p.parked, own)
		return nil, true
	}
	j = p.queue[p.head]
	p.queue[p.head] = nil
	p.head = (p.head + 1) % len(p.queue)
	p.n--
	return j, false
}

// wait ends the pool: it returns when no job is left. Nothing may be submitted any more.
func (p *pool) wait() {
	p.mu.Lock()
	p.ended = true
	for _, own := range p.parked {
		own <- nil
	}
	p.parked = nil
	p.mu.Unlock()
	p.idle.Wait()
}
