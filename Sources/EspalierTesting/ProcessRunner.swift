package import Foundation

/// What a command left behind.
package struct ProcessOutcome: Sendable, CustomStringConvertible {
  /// The exit code, or 128 + the signal that ended it.
  package let status: Int32
  package let output: String
  package let errors: String
  /// The watchdog ended it.
  package let isTimedOut: Bool
  package let seconds: Double

  package var lines: [String] { output.split(separator: "\n").map(String.init) }

  package var description: String {
    "status \(status) after \(seconds) s\(isTimedOut ? " (timed out)" : "")\n--- output\n\(output)\n--- errors\n\(errors)"
  }
}

/// Runs commands with a watchdog and keeps what they print.
package enum ProcessRunner {
  /// Runs `executable` (a path, or a name to look up in PATH) and waits for its end.
  ///
  /// Standard input is empty. After `timeoutSeconds` the command gets SIGTERM, two seconds later SIGKILL.
  /// - Parameter environment: added to this process's own; an empty value removes the variable.
  package static func run(
    _ executable: String, _ arguments: [String], environment: [String: String] = [:], directory: URL? = nil,
    timeoutSeconds: Double = 60
  ) throws -> ProcessOutcome {
    guard let path = executable.contains("/") ? executable : find(executable) else {
      throw BrokenLaw("'\(executable)' is not in PATH")
    }
    // Files and not pipes: a grandchild that survives would keep a pipe open, and the reader waiting.
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("run-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let files = ["output", "errors"].map { folder.appendingPathComponent($0) }
    for file in files { try Data().write(to: file) }
    let handles = try files.map { try FileHandle(forWritingTo: $0) }
    defer { for handle in handles { try? handle.close() } }

    let process = Process()
    process.executableURL = URL(fileURLWithPath: path)
    process.arguments = arguments
    process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }.filter { !$0.value.isEmpty }
    if let directory { process.currentDirectoryURL = directory }
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = handles[0]
    process.standardError = handles[1]
    let ended = DispatchSemaphore(value: 0)
    process.terminationHandler = { _ in ended.signal() }
    let started = ContinuousClock().now
    try withoutBlockedSignals { try process.run() }
    var isTimedOut = false
    if ended.wait(timeout: .now() + timeoutSeconds) == .timedOut {
      isTimedOut = true
      process.terminate()
      if ended.wait(timeout: .now() + 2) == .timedOut {
        kill(process.processIdentifier, SIGKILL)
        ended.wait()
      }
    }
    let seconds = started.duration(to: ContinuousClock().now) / .seconds(1)
    let texts = try files.map { String(decoding: try Data(contentsOf: $0), as: UTF8.self) }
    let status = process.terminationReason == .exit ? process.terminationStatus : 128 + process.terminationStatus
    return ProcessOutcome(status: status, output: texts[0], errors: texts[1], isTimedOut: isTimedOut, seconds: seconds)
  }

  /// Tests run on threads of Dispatch, which block nearly all signals; a child would inherit that and be deaf to SIGTERM.
  private static func withoutBlockedSignals(_ body: () throws -> Void) rethrows {
    var none = sigset_t(), before = sigset_t()
    sigemptyset(&none)
    pthread_sigmask(SIG_SETMASK, &none, &before)
    defer { pthread_sigmask(SIG_SETMASK, &before, nil) }
    try body()
  }

  /// Where a command lies in PATH.
  package static func find(_ name: String) -> String? {
    let path = ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin"
    return path.split(separator: ":").map { "\($0)/\(name)" }.first { FileManager.default.isExecutableFile(atPath: $0) }
  }

  /// A built executable of this package, beside the test binary.
  package static func product(_ name: String) throws -> String {
    let links = ["/proc/self/exe", CommandLine.arguments[0]]
    let folders = links.map { URL(fileURLWithPath: $0).resolvingSymlinksInPath().deletingLastPathComponent().path }
    let candidates = folders.map { "\($0)/\(name)" }
    guard let found = candidates.first(where: { FileManager.default.isExecutableFile(atPath: $0) }) else {
      throw BrokenLaw("'\(name)' was not built: looked for \(candidates.joined(separator: ", "))")
    }
    return found
  }
}
