import EspalierNN
import EspalierTensor
import EspalierTrain
import Testing

@Suite struct TextDatasetTests {
  private func text(_ string: String, context: Int) throws -> (training: any Dataset, folder: TemporaryFolder) {
    let folder = try TemporaryFolder()
    let path = try folder.write("a.txt", string)
    return (try TextSettings(path: path, validation: "none").open(context: context).training, folder)
  }

  private func letters(_ indices: Indices) -> String {
    String(decoding: indices.values.map { UInt8($0) }, as: UTF8.self)
  }

  @Test("samples are windows that do not overlap, with the next byte as target")
  func windows() throws {
    let (data, folder) = try text("abcdefghij", context: 3)
    #expect(data.sampleCount == 3)
    let batch = try data.batch(of: [2, 0])
    guard case .tokens(let inputs) = batch.inputs else { return #expect(Bool(false), "tokens") }
    #expect(letters(inputs) == "ghiabc")
    #expect(letters(batch.targets) == "hijbcd")
    #expect(inputs.shape == [2, 3])
    #expect(batch.samples == [2, 0])
    #expect(data.description == "\(folder.path)/a.txt: 10 bytes, 3 samples of 3")
    #expect(data.targetsAreBytes)
  }

  @Test("the last window needs one byte more than its context", arguments: [(3, 0), (4, 1), (6, 1), (7, 2)])
  func counts(bytes: Int, samples: Int) throws {
    let string = String("abcdefg".prefix(bytes))
    if samples == 0 {
      let error = #expect(throws: DataError.self) { try text(string, context: 3) }
      #expect(error?.kind == .tooShort)
    } else {
      #expect(try text(string, context: 3).training.sampleCount == samples)
    }
  }

  @Test("a batch of no samples is empty")
  func empty() throws {
    let batch = try text("abcdefg", context: 3).training.batch(of: [])
    #expect(batch.targets.shape == [0, 3])
    #expect(batch.weight == 0)
  }

  @Test("bytes beyond ASCII are tokens up to 255")
  func highBytes() throws {
    let folder = try TemporaryFolder()
    let path = try folder.write("a", [255, 128, 0])
    let batch = try TextSettings(path: path, validation: "none").open(context: 2).training.batch(of: [0])
    #expect(batch.targets.values == [128, 0])
  }

  @Test("a folder and a pattern read their files end to end in the order of their paths, hidden ones left out")
  func files() throws {
    let folder = try TemporaryFolder()
    try folder.write("b.txt", "cd")
    try folder.write("a.txt", "ab")
    try folder.write("empty.txt", "")
    try folder.write("sub/e.txt", "ef")
    try folder.write(".hidden", "no")
    try folder.write("z.md", "xyz")
    let whole = try TextBytes(path: folder.path, maximumBytes: 100)
    #expect(bytes(whole) == "abcdefxyz")
    #expect(bytes(try TextBytes(path: folder.path + "/*.txt", maximumBytes: 100)) == "abcd")
    let one = try folder.write("one", "abcdefxyz")
    #expect(try TextBytes(path: one, maximumBytes: 100).hash() == whole.hash())
  }

  private func bytes(_ text: TextBytes) -> String {
    var result = [UInt8](repeating: 0, count: text.count)
    text.forEach(in: 0..<text.count) { result[$0] = $1 }
    return String(decoding: result, as: UTF8.self)
  }

  @Test("a window may span files")
  func spans() throws {
    let folder = try TemporaryFolder()
    for (name, text) in [("1", "ab"), ("2", ""), ("3", "c"), ("4", "defg")] { try folder.write(name, text) }
    let batch = try TextSettings(path: folder.path, validation: "none").open(context: 5).training.batch(of: [0])
    #expect(letters(batch.targets) == "bcdef")
  }

  @Test("zstd files of unknown size and of several frames unpack")
  func zstd() throws {
    let folder = try TemporaryFolder()
    let path = try folder.write("a.zst", zstdFrame("hello ") + zstdFrame("world"))
    #expect(bytes(try TextBytes(path: path, maximumBytes: 11)) == "hello world")
    let run = try folder.write("run.zst", zstdRun("x", count: 131_072))
    #expect(try TextBytes(path: run, maximumBytes: 1 << 20).count == 131_072)
  }

  @Test("broken and hostile zstd files are refused")
  func brokenZstd() throws {
    let folder = try TemporaryFolder()
    let whole = zstdFrame("hello world")
    func kind(_ bytes: [UInt8], limit: Int = 1 << 30) throws -> DataError.Kind? {
      let path = try folder.write("b.zst", bytes)
      return #expect(throws: DataError.self) { try TextBytes(path: path, maximumBytes: limit) }?.kind
    }
    for cut in 1..<whole.count { #expect(try kind(Array(whole.prefix(cut))) == .truncatedZstd, "cut at \(cut)") }
    #expect(try kind(Array("plain text".utf8)) == .notZstd)
    #expect(try kind(whole + [1, 2, 3, 4, 5]) == .notZstd)
    #expect(try kind([]) == .empty)
    let bomb = Array(repeating: zstdRun("x", count: 131_072), count: 50).flatMap { $0 }
    #expect(try kind(bomb, limit: 1 << 20) == .tooLarge)
  }

  /// One frame of one raw block, without a content size.
  private func zstdFrame(_ text: String) -> [UInt8] {
    let header = UInt32(text.utf8.count) << 3 | 1
    return [0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x00, UInt8(header & 255), UInt8(header >> 8 & 255), UInt8(header >> 16)]
      + Array(text.utf8)
  }

  /// One frame of one run-length block: a few bytes that stand for up to 128 KiB.
  private func zstdRun(_ letter: Character, count: Int) -> [UInt8] {
    let header = UInt32(count) << 3 | 1 << 1 | 1
    return [
      0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x38, UInt8(header & 255), UInt8(header >> 8 & 255), UInt8(header >> 16),
      letter.asciiValue ?? 0,
    ]
  }

  @Test("what is missing or empty is named with a remedy")
  func errors() throws {
    let folder = try TemporaryFolder()
    func sentence(_ path: String) -> String {
      do { return try TextBytes(path: path, maximumBytes: 100).paths[0] } catch { return "\(error)" }
    }
    try folder.write("novel.txt", "")
    #expect(
      sentence(folder.path + "/nvel.txt")
        == "\(folder.path)/nvel.txt: there is no such file or folder; did you mean 'novel.txt'?")
    #expect(
      sentence(folder.path + "/novel.txt") == "\(folder.path)/novel.txt: the file is empty; name a text that has bytes")
    #expect(
      sentence(folder.path + "/*.md")
        == "\(folder.path)/*.md: no file matches this pattern; check it with `ls \(folder.path)/*.md`; * does not cross folders"
    )
    #expect(sentence("").hasPrefix("data.text.path: no text is named; "))
    let bare = try TemporaryFolder()
    #expect(sentence(bare.path) == "\(bare.path): the folder holds no files; name a folder of texts")
    let large = try folder.write("large.txt", String(repeating: "x", count: 101))
    #expect(sentence(large).contains("more than data.text.maximumBytes (100) bytes"))
  }
}

@Suite struct TextSplitTests {
  @Test(
    "training and validation share no byte and leave none out",
    arguments: [(2_000, 16, 0.05), (684_767, 128, 0.05), (684_767, 5_000, 0.2), (100_003, 1, 0.5), (70, 1, 0.99)])
  func disjoint(bytes: Int, context: Int, fraction: Double) throws {
    let split = try TextSplit("x", byteCount: bytes, context: context, fraction: fraction, seed: 1)
    var next = 0
    for run in (split.training + split.validation).sorted(by: { $0.lowerBound < $1.lowerBound }) {
      #expect(run.lowerBound == next)
      next = run.upperBound
    }
    #expect(next == bytes)
    #expect(!split.training.isEmpty)
    #expect(!split.validation.isEmpty)
    #expect(try TextSplit("x", byteCount: bytes, context: context, fraction: fraction, seed: 1) == split)
  }

  @Test("a part of 5 % of the shipped text is 3 of 64 blocks of 10699 bytes, whatever the model's context up to 2674")
  func shipped() throws {
    let split = try TextSplit("x", byteCount: 684_767, context: 128, fraction: 0.05, seed: 1)
    let sizes = split.validation.reduce(0) { $0 + $1.count }
    #expect(sizes == 3 * 10_699 || sizes == 3 * 10_699 + 31)
    #expect(try TextSplit("x", byteCount: 684_767, context: 2674, fraction: 0.05, seed: 1) == split)
    #expect(try TextSplit("x", byteCount: 684_767, context: 128, fraction: 0.05, seed: 2) != split)
  }

  @Test("no window crosses from one set to the other")
  func windows() throws {
    let folder = try TemporaryFolder()
    // Every byte tells its place, modulo 251.
    let path = try folder.write("a", (0..<20_000).map { UInt8($0 % 251) })
    let context = 7
    let splits = try TextSettings(path: path, validation: "20%").open(context: context)
    let split = try TextSplit(path, byteCount: 20_000, context: context, fraction: 0.2, seed: 1)
    for (data, runs) in [(splits.training, split.training), (try #require(splits.validation), split.validation)] {
      let text = try #require(data as? TextDataset)
      for sample in 0..<UInt64(text.sampleCount) {
        let first = text.firstByte(of: sample)
        #expect(runs.contains { $0.contains(first) && $0.contains(first + context) }, "sample \(sample)")
        #expect(try text.batch(of: [sample]).targets.values.last == Int32((first + context) % 251))
      }
    }
  }

  @Test("a text that is too short to be cut is refused with the sizes")
  func short() {
    let error = #expect(throws: DataError.self) {
      try TextSplit("x", byteCount: 129, context: 16, fraction: 0.05, seed: 1)
    }
    #expect(error?.kind == .badSplit)
    #expect(error?.reason.contains("129 bytes") == true)
    #expect(error?.reason.contains("130 are needed") == true)
  }

  @Test("a validation text of its own leaves the training text whole, and the hash tells all sets apart")
  func own() throws {
    let folder = try TemporaryFolder()
    let path = try folder.write("a", String(repeating: "abcdefgh", count: 1000))
    let other = try folder.write("b", "0123456789")
    let own = try TextSettings(path: path, validation: other).open(context: 4)
    #expect(own.training.sampleCount == 1999)
    #expect(own.validation?.sampleCount == 2)
    let hashes = [
      own.contentHash, try TextSettings(path: path, validation: "none").open(context: 4).contentHash,
      try TextSettings(path: path, validation: "5%").open(context: 4).contentHash,
      try TextSettings(path: path, validation: "none").open(context: 5).contentHash,
      try TextSettings(path: other, validation: "none").open(context: 4).contentHash,
    ]
    #expect(Set(hashes).count == hashes.count)
    let moved = try folder.write("moved", String(repeating: "abcdefgh", count: 1000))
    #expect(try TextSettings(path: moved, validation: other).open(context: 4).contentHash == own.contentHash)
  }
}
