// Package ratelimit lets a caller apply one rate limit to every request that a client
// sends for a call: retries, further pages, a sign-in, a read before a push.
//
//	ctx = ratelimit.With(ctx, limiter) // after waiting for the first request
//	order, err := client.Order(ctx, id)
//
// A client calls [Wait] before each request, [ReportRetryAfter] when a server answers with
// Retry-After, and [ReportDate] for each answer. They do nothing if the context has no limiter.
//
// Errors are those of the [Limiter]. All functions are safe for concurrent use if the
// Limiter is.
package ratelimit
