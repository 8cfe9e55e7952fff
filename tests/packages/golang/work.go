package main

import "C"
import "math/bits"

//export work_bits
func work_bits(v uint64) int32 { return int32(bits.OnesCount64(v)) }

func main() {}
