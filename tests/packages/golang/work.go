package main

import "C"
import "math/bits"

//export work_bits
func work_bits(v uint64) int32 { return int32(bits.OnesCount64(workShift(v, 1, uint(v&3)))) }

// Above x86-64-v2 a shift by a variable and a complement are single instructions of BMI.
//
//go:noinline
func workShift(value, mask uint64, places uint) uint64 { return value << (places & 63) &^ mask }

func main() {}
