// Package sandbox is the world that the examples live in: a small Commerce and
// a small Connect in this process, with customers, resellers, vendors and a past
// in which a maintenance of Connect went by.
package sandbox
