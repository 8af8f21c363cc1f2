// Package sizes measures the packages of the library and keeps them small.
package sizes
