import EspalierState
import Foundation
import Testing

/// Files that the Python package wrote or has read; Goldens/Interchange/README.md tells how they were made.
enum InterchangeGoldens {
  static func url(_ name: String) throws -> URL {
    let url = Bundle.module.resourceURL?.appendingPathComponent("Goldens/Interchange/\(name)")
    return try #require(url)
  }
  static func path(_ name: String) throws -> String { try url(name).path }
  static func bytes(_ name: String) throws -> [UInt8] { [UInt8](try Data(contentsOf: url(name))) }

  static func hexadecimal(_ bytes: [UInt8]) -> String {
    bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
  }
}

@Suite struct SafetensorsTests {
  struct Expected: Decodable {
    struct Tensor: Decodable {
      let dtype: String
      let shape: [Int]
      let bytes: String
      let float32: [UInt32]?
    }
    let metadata: [String: String]
    let tensors: [String: Tensor]
  }

  @Test("a file that the Python package wrote is read bit for bit")
  func readsPython() throws {
    let expected = try JSONDecoder().decode(
      Expected.self, from: Data(contentsOf: InterchangeGoldens.url("python.safetensors.json")))
    let reader = try SafetensorsReader(InterchangeGoldens.path("python.safetensors"))
    #expect(reader.header.metadata == expected.metadata)
    #expect(Set(reader.tensors.map(\.name)) == Set(expected.tensors.keys))
    #expect(Set(reader.tensors.map(\.element)) == Set(InterchangeElement.allCases), "every type is there")
    for (name, tensor) in expected.tensors {
      let found = try #require(reader.tensor(name))
      #expect(found.element.rawValue == tensor.dtype && found.shape == tensor.shape, "\(name)")
      #expect(InterchangeGoldens.hexadecimal(try reader.bytes(found)) == tensor.bytes, "\(name)")
      guard let bits = tensor.float32 else { continue }
      // Whole, and element by element: a range begins where it should.
      var floats = [Float](repeating: 7, count: bits.count + 1)
      try reader.read(found, range: 0..<bits.count, into: &floats)
      #expect(floats.dropLast().map(\.bitPattern) == bits && floats.last == 7, "\(name)")
      for i in bits.indices {
        try reader.read(found, range: i..<i + 1, into: &floats)
        #expect(floats[0].bitPattern == bits[i], "\(name) at \(i)")
      }
    }
  }

  /// What `espalier.safetensors` holds; Python has read it and found these very bits.
  static let written: [(tensor: SafetensorsWriter.Tensor, bytes: [UInt8])] = [
    (.init(name: "blocks.0.weight", element: .float32, shape: [2, 3]), (0..<24).map { UInt8($0 * 11 & 0xff) }),
    (.init(name: "half", element: .float16, shape: [3]), [0, 0x3c, 1, 0x7e, 0xff, 0xfb]),
    (.init(name: "brain@adamw.m", element: .bfloat16, shape: [1, 2]), [0xc0, 0x7f, 0x80, 0x3f]),
    (.init(name: "empty", element: .float32, shape: [0, 4]), []),
    (.init(name: "scalar", element: .float32, shape: []), [0, 0, 0xc0, 0xbf]),
    (.init(name: "long", element: .int64, shape: [1]), [1, 2, 3, 4, 5, 6, 7, 0x88]),
    (.init(name: "größe \"µ\"", element: .int32, shape: [1]), [0xff, 0xff, 0xff, 0x7f]),
  ]

  static func write(to path: String) throws {
    let writer = try SafetensorsWriter(
      path, tensors: written.map(\.tensor), metadata: ["format": "pt", "note": "line\nbreak and é"])
    for (_, bytes) in written { try bytes.withUnsafeBytes { try writer.append($0) } }
    try writer.finish()
  }

  @Test("what Espalier writes are the bytes that the Python package has read, and reads back the same")
  func writes() throws {
    try withTemporaryRun { folder in
      let path = folder + "/espalier.safetensors"
      try Self.write(to: path)
      // Only to make the file anew, before Python reads it: see the README beside it.
      if let destination = ProcessInfo.processInfo.environment["ESPALIER_WRITE_GOLDENS"] {
        try FileManager.default.copyItem(atPath: path, toPath: destination + "/espalier.safetensors")
      }
      #expect(try [UInt8](Data(contentsOf: URL(filePath: path))) == InterchangeGoldens.bytes("espalier.safetensors"))
      let reader = try SafetensorsReader(path)
      #expect(reader.header.metadata == ["format": "pt", "note": "line\nbreak and é"])
      for (tensor, bytes) in Self.written {
        let found = try #require(reader.tensor(tensor.name))
        #expect(found.shape == tensor.shape && found.element == tensor.element)
        #expect(try reader.bytes(found) == bytes)
      }
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == ["espalier.safetensors"])
    }
  }

  @Test("nothing is written over a file, and nothing is left of one that was not finished")
  func overNothing() throws {
    try withTemporaryRun { folder in
      let path = folder + "/a.safetensors"
      try "mine".write(toFile: path, atomically: true, encoding: .utf8)
      #expect(throws: InterchangeError.self) { try Self.write(to: path) }
      #expect(try String(contentsOfFile: path, encoding: .utf8) == "mine")
      do { _ = try SafetensorsWriter(folder + "/b.safetensors", tensors: Self.written.map(\.tensor), metadata: [:]) }
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == ["a.safetensors"])
      #expect(throws: InterchangeError.self) {
        try SafetensorsWriter(
          folder + "/c.safetensors", tensors: [.init(name: "__metadata__", element: .float32, shape: [])], metadata: [:]
        )
      }
    }
  }

  @Test("folders, pipes and missing files are refused at once")
  func notFiles() throws {
    try withTemporaryRun { folder in
      #expect(mkfifo(folder + "/pipe", 0o600) == 0)
      for (path, kind) in [
        (folder, CheckpointError.Kind.notRegularFile), (folder + "/pipe", .notRegularFile), (folder + "/no", .missing),
      ] {
        let error = #expect(throws: CheckpointError.self) { try SafetensorsReader(path) }
        #expect(error?.kind == kind, "\(path)")
      }
    }
  }
}

/// Files that are not what they say.
@Suite struct SafetensorsHostileTests {
  static func file(_ header: String, _ elements: Int, length: UInt64? = nil) -> [UInt8] {
    let header = Array(header.utf8)
    let length = length ?? UInt64(header.count)
    return (0..<8).map { UInt8(truncatingIfNeeded: length >> (8 * UInt64($0))) } + header
      + (0..<elements).map { UInt8($0 * 37 & 0x3f) }
  }

  static func one(_ entry: String) -> String { #"{"a":{\#(entry)}}"# }

  static let faults: [(InterchangeError.Kind, [UInt8])] = [
    (.tooShort, []), (.tooShort, [1, 2, 3]),
    (.headerTooLarge, file("{}", 0, length: .max)), (.headerTooLarge, file("{}", 0, length: 100_000_001)),
    (.headerTooLarge, file("[" + String(repeating: "0,", count: 1_000_001) + "0]", 0).replacingFirst(8, with: "{")),
    (.headerBeyondFile, file("{}", 0, length: 3)), (.headerBeyondFile, file("{}", 0, length: 100_000_000)),
    (.invalidStart, file("", 0)), (.invalidStart, file(" {}", 0)), (.invalidStart, file("[]", 0)),
    (.invalidPadding, file("{}\n", 0)), (.invalidPadding, file("{}\0", 0)),
    (.invalidJSON, file("{", 0)), (.invalidJSON, file(#"{"a":1,"a":1}"#, 0)), (.invalidJSON, file("{}}", 0)),
    (.invalidJSON, file(#"{"a":\#(String(repeating: "[", count: 5000))}"#, 0)),
    (.invalidJSON, file(one(#""dtype":"F32","dtype":"F32","shape":[],"data_offsets":[0,4]"#), 4)),
    (.invalidMetadata, file(#"{"__metadata__":{"a":1}}"#, 0)), (.invalidMetadata, file(#"{"__metadata__":[]}"#, 0)),
    (.invalidField, file(#"{"a":[]}"#, 0)), (.invalidField, file(one(""), 0)),
    (.invalidField, file(one(#""dtype":1,"shape":[],"data_offsets":[0,4]"#), 4)),
    (.invalidField, file(one(#""dtype":"F32","shape":1,"data_offsets":[0,4]"#), 4)),
    (.invalidField, file(one(#""dtype":"F32","shape":[-1],"data_offsets":[0,4]"#), 4)),
    (.invalidField, file(one(#""dtype":"F32","shape":[1.0],"data_offsets":[0,4]"#), 4)),
    (.invalidField, file(one(#""dtype":"F32","shape":[99999999999999999999],"data_offsets":[0,4]"#), 4)),
    (.invalidField, file(one(#""dtype":"F32","shape":[],"data_offsets":[0,4,4]"#), 4)),
    (.invalidField, file(one(#""dtype":"F32","shape":[],"data_offsets":[4,0]"#), 4)),
    (.invalidField, file(one(#""dtype":"F32","shape":[],"data_offsets":[0,4],"more":0"#), 4)),
    (.unsupportedType, file(one(#""dtype":"F64","shape":[],"data_offsets":[0,8]"#), 8)),
    (.unsupportedType, file(one(#""dtype":"f32","shape":[],"data_offsets":[0,4]"#), 4)),
    (.shapeTooLarge, file(one(#""dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,4]"#), 4)),
    (.shapeTooLarge, file(one(#""dtype":"F32","shape":[4611686018427387904,4,0],"data_offsets":[0,0]"#), 0)),
    (.shapeTooLarge, file(one(#""dtype":"I64","shape":[2305843009213693952],"data_offsets":[0,0]"#), 0)),
    (.wrongSize, file(one(#""dtype":"F32","shape":[1000000000000],"data_offsets":[0,4]"#), 4)),
    (.wrongSize, file(one(#""dtype":"F16","shape":[1],"data_offsets":[0,4]"#), 4)),
    (.beyondFile, file(one(#""dtype":"F32","shape":[1000000000000],"data_offsets":[0,4000000000000]"#), 4)),
    (.beyondFile, file(one(#""dtype":"F32","shape":[2],"data_offsets":[0,8]"#), 7)),
    (.hole, file(one(#""dtype":"F32","shape":[1],"data_offsets":[4,8]"#), 8)),
    (
      .hole,
      file(
        #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[8,12]}}"#,
        12)
    ),
    (
      .overlap,
      file(
        #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#,
        4)
    ),
    (
      .overlap,
      file(
        #"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F16","shape":[3],"data_offsets":[6,12]}}"#,
        12)
    ),
    (.trailingBytes, file(one(#""dtype":"F32","shape":[],"data_offsets":[0,4]"#), 5)), (.trailingBytes, file("{}", 1)),
  ]

  @Test("every fault is refused under its own kind, in a tenth of a second", arguments: faults)
  func refused(_ fault: (kind: InterchangeError.Kind, bytes: [UInt8])) {
    var kind: InterchangeError.Kind?
    let took = ContinuousClock().measure {
      do { _ = try SafetensorsReader(MemoryBytes(fault.bytes)) } catch {
        kind = (error as? InterchangeError)?.kind
        #expect("\(error)".utf8.count < 2000)
      }
    }
    #expect(kind == fault.kind)
    #expect(took < .milliseconds(100))
  }

  static let small = file(
    #"{"__metadata__":{"n":"é"},"a":{"dtype":"F32","shape":[2,1],"data_offsets":[0,8]},"#
      + #""b":{"dtype":"BF16","shape":[3],"data_offsets":[8,14]},"e":{"dtype":"F16","shape":[0],"data_offsets":[14,14]}}"#,
    14)

  @Test("every truncation is refused")
  func truncations() {
    #expect(SafetensorsReader.probe(Self.small))
    for length in 0..<Self.small.count {
      #expect(!SafetensorsReader.probe(Array(Self.small[..<length])), "\(length) bytes")
    }
  }

  @Test("20,000 random changes end in an error or a reading, never otherwise")
  func changes() {
    let (read, _) = Mutations.count(of: Self.small, trials: 20_000, seed: 11, SafetensorsReader.probe)
    // Changes among the elements cannot be noticed: there must be some, or the changes do not reach them.
    #expect(read > 200 && read < 15_000, "\(read) were read")
  }
}

/// Keyed random changes of a file: flips, bytes, removals, repeats.
enum Mutations {
  static func count(
    of file: [UInt8], trials: Int, seed: UInt64, _ probe: ([UInt8]) -> Bool
  ) -> (read: Int, refused: Int) {
    var random = SplitMix(state: seed)
    var read = 0
    for _ in 0..<trials {
      var bytes = file
      for _ in 0...random.next(3) {
        guard !bytes.isEmpty else { break }
        let place = random.next(bytes.count)
        switch random.next(6) {
        case 0, 1: bytes[place] ^= 1 << UInt8(random.next(8))
        case 2: bytes[place] = UInt8(random.next(256))
        case 3: bytes.removeSubrange(place..<min(place + 1 + random.next(9), bytes.count))
        case 4: bytes.insert(contentsOf: bytes[place..<min(place + 1 + random.next(17), bytes.count)], at: place)
        default:
          // Digits and brackets, so that numbers and nesting change and the rest stays readable.
          bytes[place] = Array("0123456789[]{},\":-".utf8)[random.next(18)]
        }
      }
      if probe(bytes) { read += 1 }
    }
    return (read, trials - read)
  }

  struct SplitMix {
    var state: UInt64
    mutating func next(_ bound: Int) -> Int {
      state &+= 0x9e37_79b9_7f4a_7c15
      var z = state
      z = (z ^ z >> 30) &* 0xbf58_476d_1ce4_e5b9
      z = (z ^ z >> 27) &* 0x94d0_49bb_1331_11eb
      return Int((z ^ z >> 31) % UInt64(bound))
    }
  }
}

extension [UInt8] {
  fileprivate func replacingFirst(_ place: Int, with character: Unicode.Scalar) -> [UInt8] {
    var copy = self
    copy[place] = UInt8(ascii: character)
    return copy
  }
}
