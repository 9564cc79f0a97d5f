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

	idle sync.WaitGroup // one for each goroutine that runs jobs
}

func newPool(max, queue int, run func(*job)) *pool {
	return &pool{max: max, run: run, queue: make([]*job, queue)}
}

// submit starts or queues a job and tells whether there was room. It does not block.
func (p *pool) submit(j *job) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
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

// work runs a job and then what is in the queue.
func (p *pool) work(j *job) {
	defer p.idle.Done()
	for j != nil {
		p.run(j)
		j = p.next()
	}
}

func (p *pool) next() *job {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.n == 0 {
		p.running--
		return nil
	}
	j := p.queue[p.head]
	p.queue[p.head] = nil
	p.head = (p.head + 1) % len(p.queue)
	p.n--
	return j
}

// wait returns when no job is left. Nothing may be submitted meanwhile.
func (p *pool) wait() { p.idle.Wait() }
