import EspalierTensor
import Foundation
import Testing

/// Golden numbers: Rosetta Code's for SplitMix64 and Java's SplittableRandom(0); the children were computed by a separate
/// program in Python from the formulas.
@Suite struct RandomKeyTests {
  @Test func `bits are SplitMix64's published sequence`() throws {
    let key = try JSONDecoder().decode(RandomKey.self, from: Data(#"{"state":1234567}"#.utf8))
    #expect(
      (0..<5).map { key.bits(at: $0) } == [
        6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423, 4_593_380_528_125_082_431,
        16_408_922_859_458_223_821,
      ])
  }

  @Test func `a seed becomes the first number of its sequence`() {
    #expect(RandomKey(seed: 0).state == 0xE220_A839_7B1D_CDAF)
    #expect(RandomKey(seed: 1_234_567).state == 6_457_827_717_110_365_317)
  }

  @Test func `named and numbered children have golden streams`() {
    let weight = RandomKey(seed: 1).child("blocks.2.up.weight")
    #expect(weight.state == 2_077_431_835_382_692_326)
    #expect(
      (0..<3).map { weight.bits(at: $0) } == [
        15_652_460_261_690_035_448, 18_012_551_842_615_759_015, 8_059_870_792_559_982_142,
      ])
    #expect(weight.child(7).state == 4_257_528_703_660_360_919)
    #expect(weight.child(7).uniform(at: 0) == 0.7169645153001865)
  }

  @Test func `siblings and orders of descent differ`() {
    let key = RandomKey(seed: 1)
    let keys = [
      key, key.child("a"), key.child("b"), key.child(0), key.child(1), key.child("a").child("b"),
      key.child("b").child("a"), key.child("ab"), key.child("a").child(0), key.child(0).child("a"), key.child(""),
    ]
    #expect(Set(keys).count == keys.count)
  }

  @Test func `uniform numbers fill the unit interval evenly`() {
    let key = RandomKey(seed: 2)
    var bins = [Int](repeating: 0, count: 16)
    for i in 0..<16_000 { bins[Int(key.uniform(at: UInt64(i)) * 16)] += 1 }
    let chiSquare = bins.map { Double(($0 - 1000) * ($0 - 1000)) / 1000 }.reduce(0, +)
    #expect(chiSquare < 37.7)  // 15 degrees of freedom, one in a thousand
  }
}
