import Synchronization

/// How far this process has come, as a number that only grows: every node of a tape, matrix product, chunk of a file and batch ticks it.
///
/// It means nothing but "something moved": a watchdog that sees it stand still while others wait knows a hang from a long computation. Ranks
/// that are threads of one process share it, which is enough: when one of them hangs, the others soon wait and tick no more.
package enum ProgressCounter {
  private static let count = Atomic<UInt64>(0)
  private static let operations = Atomic<Int>(0)

  /// One atomic addition: a few nanoseconds.
  package static func tick() { count.wrappingAdd(1, ordering: .relaxed) }

  package static var ticks: UInt64 { count.load(ordering: .relaxed) }

  /// Runs a call to the file system, which may take as long as a disk needs and cannot tick meanwhile.
  package static func duringFileOperation<Result>(_ body: () throws -> Result) rethrows -> Result {
    operations.wrappingAdd(1, ordering: .relaxed)
    defer {
      operations.wrappingSubtract(1, ordering: .relaxed)
      tick()
    }
    return try body()
  }

  /// Calls to the file system that are under way.
  package static var fileOperations: Int { operations.load(ordering: .relaxed) }
}
