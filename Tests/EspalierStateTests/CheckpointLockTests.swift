import EspalierState
import Foundation
import Testing

@Suite struct CheckpointLockTests {
  func write(_ run: String, host: String, pid: Int, start: Int) throws {
    try Data(#"{"host":"\#(host)","pid":\#(pid),"since":"2026-01-01T00:00:00Z","start":\#(start)}"#.utf8)
      .write(to: URL(fileURLWithPath: run + "/lock"))
  }

  var ownHost: String {
    get throws { try withTemporaryRun { try CheckpointDirectory(run: $0).lock().holder.host } }
  }

  @Test("a second trainer on a live run is refused with host and pid")
  func live() throws {
    try withTemporaryRun { run in
      let directory = CheckpointDirectory(run: run)
      let lock = try directory.lock()
      #expect(lock.note == nil)
      for breakLock in [false, true] {
        let error = #expect(throws: CheckpointError.self) { _ = try directory.lock(breakLock: breakLock) }
        #expect(error?.kind == .locked)
        #expect(error?.reason.contains("process \(getpid()) on \(lock.holder.host)") == true)
      }
      try lock.release()
      #expect(!FileManager.default.fileExists(atPath: run + "/lock"))
    }
  }

  @Test("a released lock is free, and so is the lock of a process that has ended")
  func stale() throws {
    try withTemporaryRun { run in
      let directory = CheckpointDirectory(run: run)
      try directory.lock().release()
      #expect(try directory.lock().note == nil)
      // No process has this number: Linux allows 2²² of them.
      try write(run, host: try ownHost, pid: 1 << 23, start: 5)
      let lock = try directory.lock()
      #expect(lock.note?.contains("process \(1 << 23) on") == true)
      #expect(throws: CheckpointError.self) { _ = try directory.lock() }
    }
  }

  @Test("a process that lives is told from an earlier one with its number by when it started")
  func reusedNumber() throws {
    try withTemporaryRun { run in
      let directory = CheckpointDirectory(run: run)
      let host = try ownHost
      // Process 1 lives and did not start at this tick.
      try write(run, host: host, pid: 1, start: 1 << 60)
      #expect(try directory.lock().note != nil)
      let stat = try String(contentsOfFile: "/proc/1/stat", encoding: .utf8)
      let fields = try #require(stat.split(separator: ")").last).split(separator: " ")
      try write(run, host: host, pid: 1, start: try #require(Int(fields[19])))
      let error = #expect(throws: CheckpointError.self) { _ = try directory.lock(breakLock: true) }
      #expect(error?.kind == .locked)
      #expect(error?.reason.contains("process 1 on") == true)
    }
  }

  @Test("a lock from another host is refused unless it is broken")
  func elsewhere() throws {
    try withTemporaryRun { run in
      let directory = CheckpointDirectory(run: run)
      try write(run, host: "node-of-another-rack", pid: 77, start: 5)
      let error = #expect(throws: CheckpointError.self) { _ = try directory.lock() }
      #expect(error?.kind == .lockedElsewhere)
      #expect(error?.reason.contains("process 77 on node-of-another-rack") == true)
      #expect(try directory.lock(breakLock: true).note?.contains("node-of-another-rack") == true)
    }
  }

  @Test("a lock file cut off by a crash does not lock anyone out")
  func cutOff() throws {
    try withTemporaryRun { run in
      try Data(#"{"host":"no"#.utf8).write(to: URL(fileURLWithPath: run + "/lock"))
      let lock = try CheckpointDirectory(run: run).lock()
      #expect(throws: CheckpointError.self) { _ = try CheckpointDirectory(run: run).lock() }
      try lock.release()
    }
  }
}
