import EspalierTensor

/// The two sums of `Digest` over a run of elements whose first has index `firstIndex` in its tensor.
func digestSums(key: UInt64, firstIndex: UInt64, elements: UnsafeBufferPointer<Float>) -> (low: UInt64, high: UInt64) {
  var low: UInt64 = 0
  var high: UInt64 = 0
  var index = firstIndex
  let inverse = ~key
  for element in elements {
    let bits = UInt64(element.bitPattern)
    low &+= RandomKey.mix(RandomKey.mix(key &+ index) ^ bits)
    high &+= RandomKey.mix(RandomKey.mix(inverse &+ index) ^ bits)
    index &+= 1
  }
  return (low, high)
}
