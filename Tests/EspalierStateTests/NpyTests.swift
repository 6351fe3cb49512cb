import EspalierState
import Foundation
import Testing

@Suite struct NpyTests {
  static func file(_ header: String, _ elements: Int, version: (UInt8, UInt8) = (1, 0), length: Int? = nil) -> [UInt8] {
    let text = Array((header + "\n").utf8)
    let length = length ?? text.count
    let bytes = version.0 == 1 ? 2 : 4
    return [0x93] + Array("NUMPY".utf8) + [version.0, version.1]
      + (0..<bytes).map { UInt8(truncatingIfNeeded: length >> (8 * $0)) } + text
      + (0..<elements).map { UInt8($0 & 0x3f) }
  }

  @Test(
    "what NumPy wrote is read bit for bit",
    arguments: [
      ("python-f4", InterchangeElement.float32, [2, 3, 4]), ("python-f2", .float16, [7]),
      ("python-i4", .int32, [2, 2]), ("python-i8", .int64, [4]), ("python-scalar", .float32, []),
      ("python-empty", .float32, [0, 4]), ("python-version2", .float32, [3]),
    ] as [(String, InterchangeElement, [Int])])
  func readsPython(name: String, element: InterchangeElement, shape: [Int]) throws {
    let reader = try NpyReader(InterchangeGoldens.path(name + ".npy"))
    #expect(reader.header.element == element && reader.header.shape == shape)
    // NumPy puts the elements last, so they are the end of the file.
    let size = shape.reduce(1, *) * element.byteCount
    #expect(try reader.bytes(0..<reader.header.count) == InterchangeGoldens.bytes(name + ".npy").suffix(size))
    let expected: [UInt8] =
      switch name {
      case "python-i8":
        [0, 0, 0, 0, 0, 0, 0, 0x80] + Array(repeating: 0xff, count: 8)
          + Array(repeating: 0, count: 8) + Array(repeating: 0xff, count: 7) + [0x7f]
      case "python-i4": [0, 0, 0, 0x80, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0x7f]
      case "python-scalar": [0, 0, 0xc0, 0xbf]
      default: try reader.bytes(0..<reader.header.count)
      }
    #expect(try reader.bytes(0..<reader.header.count) == expected)
    // The first ones of rounding.json, whole and from the middle.
    let golden = try JSONDecoder().decode(
      FloatRoundingTests.Golden.self, from: Data(contentsOf: InterchangeGoldens.url("rounding.json")))
    switch name {
    case "python-f4", "python-version2":
      let bits = Array(golden.float32.prefix(reader.header.count))
      #expect(try reader.floats(0..<bits.count).map(\.bitPattern) == bits)
      #expect(try reader.floats(2..<3).map(\.bitPattern) == [bits[2]])
    case "python-f2":
      #expect(try reader.floats(0..<7) == golden.float16.prefix(7).map { Float(Float16(bitPattern: $0)) })
    default: break
    }
  }

  @Test(
    "headers are the bytes that NumPy writes",
    arguments: [
      ("python-f4", InterchangeElement.float32, [2, 3, 4]), ("python-f2", .float16, [7]),
      ("python-i4", .int32, [2, 2]),
      ("python-i8", .int64, [4]), ("python-scalar", .float32, []), ("python-empty", .float32, [0, 4]),
    ] as [(String, InterchangeElement, [Int])])
  func header(name: String, element: InterchangeElement, shape: [Int]) throws {
    let header = try NpyHeader.encoded(element, shape: shape, file: "x")
    #expect(try InterchangeGoldens.bytes(name + ".npy").starts(with: header) && header.count % 64 == 0)
  }

  static let faults: [(InterchangeError.Kind, [UInt8])] = [
    (.badMagic, []), (.badMagic, Array("PK\u{3}\u{4}".utf8)), (.tooShort, [0x93] + Array("NUMPY".utf8) + [1, 0, 1]),
    (.newerVersion, file("{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }", 4, version: (4, 0))),
    (.headerTooLarge, file("{}", 0, version: (2, 0), length: 0xffff_ffff)),
    (.headerBeyondFile, file("{}", 0, length: 0xffff)), (.invalidHeader, file("{}", 0)),
    (.invalidHeader, file("{'descr': '<f4', 'fortran_order': False, 'shape': (1), }", 4)),
    (.invalidHeader, file("{'descr': '<f4', 'fortran_order': False, 'shape': (-1,), }", 4)),
    (.invalidHeader, file("{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,), }", 4)),
    (.invalidHeader, file("{'descr': '<f4', 'fortran_order': False, 'shape': (1,), 'shape': (1,), }", 4)),
    (.invalidHeader, file("{'descr': '<f4', 'fortran_order': False, 'shape': (1,), 'x': (1,), }", 4)),
    (.invalidHeader, file("{'descr': '<f4', 'fortran_order': False, 'shape': (1,)} + x", 4)),
    (.invalidHeader, file("{'descr': __import__('os'), 'fortran_order': False, 'shape': (1,)}", 4)),
    (.invalidHeader, file("{'descr': '<f4', 'fortran_order': 0, 'shape': (1,), }", 4)),
    (.invalidHeader, file("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }", 4)),
    (
      .invalidHeader,
      file("{'descr': '<f4', 'fortran_order': False, 'shape': (\(String(repeating: "1, ", count: 65))), }", 4)
    ),
    (.invalidHeader, file(String(repeating: "(", count: 60_000), 4)),
    (.unsupportedType, file("{'descr': '>f4', 'fortran_order': False, 'shape': (1,), }", 4)),
    (.unsupportedType, file("{'descr': '<f8', 'fortran_order': False, 'shape': (1,), }", 8)),
    (.unsupportedType, file("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", 8)),
    (.fortranOrder, file("{'descr': '<f4', 'fortran_order': True, 'shape': (1,), }", 4)),
    (.shapeTooLarge, file("{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904, 4), }", 4)),
    (.shapeTooLarge, file("{'descr': '<i8', 'fortran_order': False, 'shape': (2305843009213693952,), }", 4)),
    (.beyondFile, file("{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000,), }", 4)),
    (.trailingBytes, file("{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }", 5)),
  ]

  @Test("every fault is refused under its own kind, in a tenth of a second", arguments: faults)
  func refused(_ fault: (kind: InterchangeError.Kind, bytes: [UInt8])) {
    var kind: InterchangeError.Kind?
    let took = ContinuousClock().measure {
      do { _ = try NpyReader(MemoryBytes(fault.bytes)) } catch { kind = (error as? InterchangeError)?.kind }
    }
    #expect(kind == fault.kind)
    #expect(took < .milliseconds(100))
  }

  @Test("columns that NumPy wrote column by column are refused with the remedy")
  func fortran() throws {
    let error = #expect(throws: InterchangeError.self) { try NpyReader(InterchangeGoldens.path("python-fortran.npy")) }
    #expect(error?.kind == .fortranOrder && error?.remedy == "save numpy.ascontiguousarray of it")
  }

  @Test("every truncation is refused, and 20,000 random changes end in an error or a reading")
  func changes() throws {
    let small = Self.file("{'descr': '<f2', 'fortran_order': False, 'shape': (2, 3), }", 12)
    #expect(NpyReader.probe(small))
    for length in 0..<small.count { #expect(!NpyReader.probe(Array(small[..<length])), "\(length) bytes") }
    let (read, _) = Mutations.count(of: small, trials: 20_000, seed: 12, NpyReader.probe)
    #expect(read > 200 && read < 15_000, "\(read) were read")
  }
}

@Suite struct FloatRoundingTests {
  struct Golden: Decodable {
    let float32: [UInt32]
    let bfloat16: [UInt16]
    let float16: [UInt16]
  }

  @Test("narrowing rounds as PyTorch and NumPy do: ties to even, subnormals, infinities")
  func narrowing() throws {
    let golden = try JSONDecoder().decode(Golden.self, from: Data(contentsOf: InterchangeGoldens.url("rounding.json")))
    #expect(golden.float32.count > 700)
    for (i, bits) in golden.float32.enumerated() {
      #expect(FloatRounding.bfloat16(bits) == golden.bfloat16[i], "bfloat16 of \(String(bits, radix: 16))")
      #expect(FloatRounding.float16(bits) == golden.float16[i], "float16 of \(String(bits, radix: 16))")
    }
  }

  @Test("widening is exact for all 65,536 patterns, and narrowing brings them back; NaNs come back quiet")
  func widening() {
    for bits in UInt16.min...UInt16.max {
      let half = FloatRounding.widened(float16: bits)
      let isNaN = bits & 0x7fff > 0x7c00
      let value = Float(bitPattern: half)
      // Independent: sign · 2^(e − 15) · 1.f, or sign · 2^−14 · 0.f, in double.
      let (exponent, fraction) = (Int(bits >> 10 & 31), Double(bits & 0x3ff) / 1024)
      let sign: Double = bits >> 15 == 0 ? 1 : -1
      let expected =
        exponent == 31
        ? (fraction == 0 ? sign * .infinity : .nan)
        : exponent == 0
          ? sign * fraction * 0x1p-14
          : sign * (1 + fraction) * Double(sign: .plus, exponent: exponent - 15, significand: 1)
      #expect(isNaN ? value.isNaN : Double(value) == expected && value.sign == (bits >> 15 == 0 ? .plus : .minus))
      #expect(FloatRounding.float16(half) == (isNaN ? bits | 0x200 : bits))
      let isBrainNaN = bits & 0x7fff > 0x7f80
      #expect(FloatRounding.bfloat16(FloatRounding.widened(bfloat16: bits)) == (isBrainNaN ? bits | 0x40 : bits))
    }
  }

  @Test("a NaN whose payload lies in the lower bits alone stays a NaN")
  func nan() {
    for bits: UInt32 in [0x7f80_0001, 0xff80_0001, 0x7fff_ffff, 0xffff_ffff] {
      let sign = UInt16(bits >> 16) & 0x8000
      #expect(FloatRounding.bfloat16(bits) & 0x7fff > 0x7f80 && FloatRounding.bfloat16(bits) & 0x8000 == sign)
      #expect(FloatRounding.float16(bits) & 0x7fff > 0x7c00 && FloatRounding.float16(bits) & 0x8000 == sign)
    }
  }
}
