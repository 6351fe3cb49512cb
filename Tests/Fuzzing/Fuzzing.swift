import EspalierState
import Glibc

/// Drives the readers of untrusted files with libFuzzer. `run` builds and starts it; ESPALIER_FUZZING names the reader.
@main enum Fuzzing {
  static func main() {
    let name = getenv("ESPALIER_FUZZING").map { String(cString: $0) } ?? ""
    guard let target = targets[name] else {
      let text = "espalier-fuzzing: set ESPALIER_FUZZING to one of \(targets.keys.sorted().joined(separator: ", "))\n"
      _ = write(2, text, text.utf8.count)
      exit(64)
    }
    var count = CommandLine.argc
    var arguments: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>? = CommandLine.unsafeArgv
    exit(runDriver(&count, &arguments, target))
  }

  typealias Target = @convention(c) (UnsafePointer<UInt8>?, Int) -> Int32

  static let targets: [String: Target] = [
    "manifest": { start, count in
      let bytes = Array(UnsafeBufferPointer(start: start, count: count))
      // Whether either takes it does not matter: that they return does.
      _ = CheckpointProbe.manifest(bytes)
      _ = CheckpointProbe.commit(bytes)
      return 0
    },
    "shard": { start, count in
      ShardInput.shared.run(UnsafeBufferPointer(start: start, count: count))
      return 0
    },
    "safetensors": { start, count in
      _ = SafetensorsReader.probe(Array(UnsafeBufferPointer(start: start, count: count)))
      return 0
    },
  ]
}

/// Of libFuzzer, for programs with a `main` of their own.
@_silgen_name("LLVMFuzzerRunDriver")
private func runDriver(
  _ count: UnsafeMutablePointer<Int32>,
  _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?>, _ target: Fuzzing.Target
) -> Int32
