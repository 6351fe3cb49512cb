import EspalierState
import EspalierTesting
import Foundation
import Testing

/// Files that claim to be far more than they are: refused by a process of its own that cannot get more memory than is promised,
/// and whose processor time is measured.
@Suite(.serialized) struct CheckpointBombTests {
  struct Usage {
    let status: Int32
    let processorSeconds: Double
    let errors: String
  }

  /// Runs `espalier verify --full` with a limit on writable memory and asks the kernel what time it took.
  ///
  /// A limit and not the peak that the kernel tells: that one begins at the size of the process that starts the other.
  static func verify(_ path: String, kibibytes: Int) throws -> Usage {
    let log = path + ".log"
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0)
    posix_spawn_file_actions_addopen(&actions, 2, log, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
    let words: [String] = [
      "/bin/sh", "-c", #"ulimit -c 0 && ulimit -t 60 && ulimit -d "$0" && exec "$@""#, "\(kibibytes)",
      try ProcessRunner.product("espalier"), "verify", "--full", path,
    ]
    var arguments = words.map { strdup($0) } + [nil]
    // A thread of OpenBLAS that gets no memory asks again for ever; and what tells where Swift crashed gets none either, and
    // leaves the process stopped.
    let own = ["OPENBLAS_NUM_THREADS": "1", "SWIFT_BACKTRACE": "enable=no"]
    let settings = ProcessInfo.processInfo.environment.merging(own) { $1 }.map { "\($0)=\($1)" }
    var environment = settings.map { strdup($0) } + [nil]
    defer { for string in arguments + environment { free(string) } }
    var process = pid_t()
    #expect(posix_spawn(&process, words[0], &actions, nil, &arguments, &environment) == 0)
    var status: Int32 = 0
    var usage = rusage()
    let started = ContinuousClock().now
    while wait4(process, &status, WNOHANG, &usage) != process {
      usleep(2000)
      if started.duration(to: .now) > .seconds(30) { kill(process, SIGKILL) }
    }
    func seconds(_ time: timeval) -> Double { Double(time.tv_sec) + Double(time.tv_usec) * 1e-6 }
    return Usage(
      status: status & 0x7f == 0 ? status >> 8 & 0xff : 128 + status & 0x7f,
      processorSeconds: seconds(usage.ru_utime) + seconds(usage.ru_stime),
      errors: String(decoding: try Data(contentsOf: URL(fileURLWithPath: log)), as: UTF8.self))
  }

  /// The least memory, to 2 MiB, with which a good checkpoint is found good.
  static func need(_ path: String) throws -> Int {
    var (fails, suffices) = (0, 1 << 20)
    #expect(try verify(path, kibibytes: suffices).status == 0)
    while suffices - fails > 2 << 10 {
      let middle = (fails + suffices) / 2
      if try verify(path, kibibytes: middle).status == 0 { suffices = middle } else { fails = middle }
    }
    return suffices
  }

  static let nested = String(repeating: "[", count: 4 << 20)

  static let bombs: [(name: String, plant: @Sendable (Forger) throws -> Void)] = [
    ("nothing", { _ in }),
    (
      "a tensor of four terabytes",
      { forger in
        try forger.editManifest {
          $0 = try Forger.replace($0, #""shape":[12]"#, with: #""shape":[1099511627776]"#)
            .replacingOccurrences(of: "[0,0,0,12]", with: "[0,0,0,1099511627776]")
            .replacingOccurrences(of: "[0,1,0,12]", with: "[0,1,0,1099511627776]")
        }
      }
    ),
    (
      "a shape beyond 64 bits",
      { try $0.editManifest { $0 = try Forger.replace($0, "[12]", with: "[4611686018427387904,8]") } }
    ),
    ("JSON nested four million deep", { try $0.editManifest { $0 = try Forger.replace($0, "[12]", with: nested) } }),
    (
      "a shard above the folder",
      { try $0.editManifest { $0 = try Forger.replace($0, "shards/w00000.esp", with: "shards/..") } }
    ),
    (
      "a shard that is a link",
      { forger in
        try FileManager.default.removeItem(atPath: forger.path + "/shards/w00000.esp")
        try FileManager.default.createSymbolicLink(
          atPath: forger.path + "/shards/w00000.esp", withDestinationPath: "/dev/zero")
      }
    ),
    ("a manifest of a terabyte of holes", { #expect(truncate($0.path + "/MANIFEST.json", 1 << 40) == 0) }),
    ("a COMMIT of a terabyte of holes", { #expect(truncate($0.path + "/COMMIT", 1 << 40) == 0) }),
    ("a shard of a terabyte of holes", { #expect(truncate($0.path + "/shards/w00000.esp", 1 << 40) == 0) }),
    ("an index of an exabyte", { try $0.editShard { $0.footer.put(UInt64(1) << 60, at: 8) } }),
    ("four thousand million pieces", { try $0.editShard { $0.index.put(UInt32.max, at: 8) } }),
    ("a million million chunks", { try $0.editShard { $0.index.put(UInt64(1) << 40, at: 16) } }),
    ("a piece of an exabyte", { try $0.editShard { $0.index.put(UInt64(1) << 58, at: 24 + 24) } }),
    ("a chunk of four gigabytes", { try $0.editShard { $0.index.put(UInt32.max - 3, at: 24 + 2 * 48 + 12) } }),
    (
      "a zstd frame that claims a terabyte",
      { forger in
        // Descriptor: single segment, checksum, content size in 8 bytes.
        try forger.editShard { shard in
          shard.chunks[68] = 0xe4
          shard.chunks.put(UInt64(1) << 40, at: 69)
          shard.sealFirstChunk()
        }
      }
    ),
    (
      "a zstd window of two gigabytes",
      { forger in
        // Descriptor without a single segment, then the window's exponent.
        try forger.editShard { shard in
          shard.chunks[68] = 0x04
          shard.chunks[69] = 0xa8
          shard.sealFirstChunk()
        }
      }
    ),
  ]

  @Test("a bomb is refused within 64 MiB and 100 ms beyond what a good checkpoint takes")
  func bombs() throws {
    var base: (kibibytes: Int, seconds: Double)?
    for (name, plant) in Self.bombs {
      try CheckpointHostileTests().withCheckpoint { forger in
        guard let base else {
          let need = try Self.need(forger.path)
          base = (need, try Self.verify(forger.path, kibibytes: need + (64 << 10)).processorSeconds)
          return
        }
        try plant(forger)
        let usage = try Self.verify(forger.path, kibibytes: base.kibibytes + (64 << 10))
        let seconds = usage.processorSeconds - base.seconds
        print(
          "bomb: \(name): \(Int(seconds * 1000)) ms beyond the \(Int(base.seconds * 1000)) ms of a good checkpoint,",
          "within 64 MiB beyond its \(base.kibibytes >> 10) MiB")
        // Out of memory it would end by a signal.
        #expect(usage.status == 1 && usage.errors.contains(forger.path), "\(name): \(usage)")
        // Processor time, so that a busy machine does not count; three times the promise, so that a slow one does not.
        #expect(seconds < 0.3, "\(name)")
      }
    }
  }
}
