package resubmit

// CanaryStatus is how far a group of orders was let go.
type CanaryStatus struct {
	Group   string
	Limit   int
	Stopped string
}
