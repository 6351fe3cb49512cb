import CKernels
import EspalierTensor
import EspalierTesting
import Testing

/// Kernels over flat runs: optimizers, sums, digests, byte planes.
@Suite struct FlatKernelTests {
  private func values(_ seed: UInt64, _ count: Int) -> [Float] {
    let key = RandomKey(seed: seed)
    return (0..<count).map { Float(key.uniform(at: UInt64($0)) * 2 - 1) }
  }

  @Test(arguments: [0, 1, 15, 16, 17, 100]) func `AdamW follows the formula in double for 20 steps`(_ count: Int) {
    let (rate, beta1, beta2, epsilon, decay, scale) = (0.01, 0.9, 0.999, 1e-8, 0.1, 0.25)
    var value = values(1, count)
    var (m, v) = ([Float](repeating: 0, count: count), [Float](repeating: 0, count: count))
    var expected = value.map(Double.init)
    var (expectedM, expectedV) = ([Double](repeating: 0, count: count), [Double](repeating: 0, count: count))
    var (power1, power2) = (1.0, 1.0)
    for step in 0..<20 {
      let gradient = values(UInt64(100 + step), count)
      power1 *= beta1
      power2 *= beta2
      ck_adamw(&value, gradient, &m, &v, count, rate, beta1, beta2, epsilon, decay, 1 - power1, 1 - power2, scale)
      for i in 0..<count {
        let g = Double(gradient[i]) * scale
        expectedM[i] = beta1 * expectedM[i] + (1 - beta1) * g
        expectedV[i] = beta2 * expectedV[i] + (1 - beta2) * g * g
        expected[i] -= rate * decay * expected[i]
        expected[i] -= rate * (expectedM[i] / (1 - power1)) / ((expectedV[i] / (1 - power2)).squareRoot() + epsilon)
      }
    }
    let tolerance = Tolerance(absolute: 1e-6, relative: 1e-6)
    #expect(difference("value", value, expected, tolerance) == nil)
    #expect(difference("m", m, expectedM, tolerance) == nil)
    #expect(difference("v", v, expectedV, tolerance) == nil)
  }

  @Test(arguments: [false, true]) func `SGD follows the formula in double for 20 steps`(_ nesterov: Bool) {
    let (count, rate, momentum, decay, scale) = (37, 0.05, 0.9, 0.02, 0.5)
    var (value, buffer) = (values(1, count), [Float](repeating: 0, count: count))
    var (expected, expectedBuffer) = (value.map(Double.init), [Double](repeating: 0, count: count))
    for step in 0..<20 {
      let gradient = values(UInt64(100 + step), count)
      ck_sgd(&value, gradient, &buffer, count, rate, momentum, nesterov ? 1 : 0, decay, scale)
      for i in 0..<count {
        let g = Double(gradient[i]) * scale
        expectedBuffer[i] = momentum * expectedBuffer[i] + g
        let direction = nesterov ? g + momentum * expectedBuffer[i] : expectedBuffer[i]
        expected[i] = expected[i] * (1 - rate * decay) - rate * direction
      }
    }
    #expect(difference("value", value, expected, Tolerance(absolute: 2e-6, relative: 2e-6)) == nil)
  }

  @Test(arguments: [false, true]) func `momentum and its direction follow the formula in double for 20 steps`(
    _ nesterov: Bool
  ) {
    let (count, keep, share, scale) = (37, 0.95, 0.05, 0.5)
    var (buffer, direction) = ([Float](repeating: 0, count: count), [Float](repeating: 0, count: count))
    var (expectedBuffer, expected) = ([Double](repeating: 0, count: count), [Double](repeating: 0, count: count))
    for step in 0..<20 {
      let gradient = values(UInt64(100 + step), count)
      ck_momentum(gradient, &buffer, &direction, count, keep, share, nesterov ? 1 : 0, scale)
      for i in 0..<count {
        let g = Double(gradient[i]) * scale
        expectedBuffer[i] = keep * expectedBuffer[i] + share * g
        expected[i] = nesterov ? keep * expectedBuffer[i] + share * g : expectedBuffer[i]
      }
    }
    #expect(difference("buffer", buffer, expectedBuffer, Tolerance(absolute: 1e-6, relative: 1e-6)) == nil)
    #expect(difference("direction", direction, expected, Tolerance(absolute: 1e-6, relative: 1e-6)) == nil)
  }

  @Test func `SGD without a buffer steps along the gradient`() {
    var value: [Float] = [1, 2, 3]
    ck_sgd(&value, [1, 2, -4], nil, 3, 0.5, 0.9, 0, 0, 0.5)
    #expect(value == [0.75, 1.5, 4])
  }

  @Test(arguments: [0, 1, 16, 4095, 4096])
  func `a sum of squares is exact to double precision, the same on every level`(
    _ count: Int
  ) {
    let x = values(5, count)
    let expected = x.map { Double($0) * Double($0) }.reduce(0, +)
    #expect(abs(ck_sum_of_squares(x, count) - expected) <= 1e-13 * expected)
    for level in FunctionTests.levels {
      #expect(ck_table_of(level).pointee.sum_of_squares(x, count) == ck_sum_of_squares(x, count), "\(level)")
    }
  }

  @Test func `squares that overflow a float do not overflow the sum`() {
    #expect(ck_sum_of_squares([3e38, 3e38], 2) > 1e76)
  }

  @Test func `a non-finite element is found wherever it stands`() {
    let x = values(6, 5000)
    #expect(ck_is_finite(x, 5000) == 1)
    #expect(ck_is_finite(x, 0) == 1)
    for position in [0, 15, 16, 4095, 4096, 4999] {
      for bad in [Float.nan, .infinity, -.infinity] {
        var y = x
        y[position] = bad
        #expect(ck_is_finite(y, 5000) == 0, "\(bad) at \(position)")
        #expect(ck_is_finite(y, position) == 1, "before \(position)")
      }
    }
    #expect(ck_is_finite([3.4e38, -3.4e38, .leastNonzeroMagnitude], 3) == 1)
  }

  @Test func `the digest of a known tensor is the one computed elsewhere`() {
    // Python: mix(mix((h + i) % 2**64) ^ bits) over seven values, the first at index 1000.
    let bits = [0, -0.0, 1, -1.5, 3.14159274101257324, .infinity, Float(sign: .plus, exponent: -149, significand: 1)]
      .map(\.bitPattern)
    var (low, high): (UInt64, UInt64) = (0, 0)
    ck_digest(0x0123_4567_89AB_CDEF, 1000, bits, bits.count, &low, &high)
    #expect(low == 0xCAA4_5A06_CAE4_361B)
    #expect(high == 0xA115_AE47_6497_AAA5)
  }

  @Test func `digests of pieces add up to the digest of the whole, on every level`() {
    let bits = values(8, 1001).map(\.bitPattern)
    let h: UInt64 = 0xFEDC_BA98_7654_3210
    var (low, high): (UInt64, UInt64) = (0, 0)
    for (i, element) in bits.enumerated() {
      low &+= RandomKey.mix(RandomKey.mix(h &+ UInt64(i)) ^ UInt64(element))
      high &+= RandomKey.mix(RandomKey.mix(~h &+ UInt64(i)) ^ UInt64(element))
    }
    for level in FunctionTests.levels {
      let digest = ck_table_of(level).pointee.digest
      var (a, b): (UInt64, UInt64) = (0, 0)
      for range in [0..<3, 3..<500, 500..<1001] {
        digest?(h, UInt64(range.lowerBound), Array(bits[range]), range.count, &a, &b)
      }
      #expect(a == low && b == high, "\(level)")
    }
  }

  @Test(arguments: [1, 2, 4, 8], [0, 1]) func `byte planes come apart and together again`(_ size: Int, _ rotate: Int) {
    for count in [0, 1, 3, 16, 77] {
      let source = (0..<count * size).map { UInt8(truncatingIfNeeded: RandomKey(seed: 9).bits(at: UInt64($0))) }
      for level in FunctionTests.levels {
        let table = ck_table_of(level).pointee
        var (planes, back) = ([UInt8](repeating: 0, count: count * size), [UInt8](repeating: 0, count: count * size))
        table.planes_split(source, &planes, count, Int32(size), Int32(rotate))
        table.planes_join(planes, &back, count, Int32(size), Int32(rotate))
        #expect(back == source)
        if rotate == 0 { #expect(planes == (0..<size).flatMap { k in (0..<count).map { source[$0 * size + k] } }) }
      }
    }
  }

  @Test func `rotation brings the exponent onto the last plane and the sign below the mantissa`() {
    let source: [Float] = [1, -1, 0.5, -4]
    var planes = [UInt8](repeating: 0, count: 16)
    ck_planes_split(source, &planes, 4, 4, 1)
    #expect(planes[12...] == [127, 127, 126, 129])
    #expect(planes[..<4] == [0, 1, 0, 1])
  }
}
