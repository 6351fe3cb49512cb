import EspalierComm
import Foundation
import Testing

/// The judge is told what happens at which second; nothing waits.
@Suite("What the watchdog decides")
struct WatchdogJudgeTests {
  /// Recorders of a world whose beats reach a judge at chosen times.
  private final class Scene {
    let recorders: [FlightRecorder]
    var judge: WatchdogJudge
    private var ticks: [UInt64]

    init(ranks: Int, deadline: Double = 60) {
      recorders = (0..<ranks).map { FlightRecorder(rank: $0, size: ranks) }
      var limits = WatchdogJudge.Limits()
      limits.deadlineSeconds = deadline
      judge = WatchdogJudge(Array(0..<ranks), limits)
      ticks = Array(repeating: 0, count: ranks)
    }

    func note(_ ranks: [Int], _ sequence: Int, _ label: String, _ moments: [CollectiveMoment]) {
      let collective = Collective(kind: .barrier, label: label, sequence: sequence, boundaries: [])
      for rank in ranks { for moment in moments { recorders[rank].note(moment, collective) } }
    }

    /// The ranks beat; those in `moving` have ticked.
    func beat(_ ranks: [Int], moving: [Int] = [], files: Int = 0, at now: Double) {
      for rank in ranks {
        if moving.contains(rank) { ticks[rank] += 1 }
        recorders[rank].pulse(ticks: ticks[rank], fileOperations: files)
        judge.hear(recorders[rank].now, from: rank, at: now)
      }
    }
  }

  @Test("silence for five seconds is a finding, for four it is not")
  func silence() {
    let scene = Scene(ranks: 3)
    scene.beat([0, 1, 2], at: 100)
    scene.beat([0, 2], at: 104)
    #expect(scene.judge.finding(at: 104) == nil)
    scene.beat([0, 2], at: 105)
    #expect(scene.judge.finding(at: 105) == .silent(1, 5))
  }

  @Test("a rank that was never heard of is not accused, but listed")
  func unheard() {
    let scene = Scene(ranks: 3)
    for second in stride(from: 0.0, through: 60, by: 0.5) { scene.beat([0, 1], at: second) }
    #expect(scene.judge.finding(at: 60) == nil)
    #expect(scene.judge.unheard == [2])
  }

  @Test("a process that has ended without farewell is a finding after a moment's grace; one that said it leaves is not")
  func gone() {
    let scene = Scene(ranks: 3)
    scene.beat([0, 1, 2], at: 10)
    scene.judge.see(.gone, of: 1, at: 10.1)
    #expect(scene.judge.finding(at: 10.2) == nil)
    #expect(scene.judge.finding(at: 10.4) == .gone(1))
    scene.recorders[1].end(.finished)
    scene.beat([1], at: 10.4)
    #expect(scene.judge.finding(at: 100) == .silent(0, 90))
    scene.beat([0, 2], at: 100)
    #expect(scene.judge.finding(at: 100) == nil)
  }

  @Test("a rank that failed and said so is found only when the job does not end")
  func failed() {
    let scene = Scene(ranks: 2)
    scene.recorders[1].end(.failed, words: "no")
    scene.beat([0, 1], at: 1)
    scene.judge.see(.gone, of: 1, at: 1.1)
    #expect(scene.judge.finding(at: 5) == nil)
    scene.beat([0], at: 6.5)
    #expect(scene.judge.finding(at: 6.5) == .failed(1))
  }

  @Test(
    "a stopped process is named as stopped; one that runs but is silent on a thrashing machine has six times as long")
  func stoppedOrSlow() {
    let scene = Scene(ranks: 2)
    scene.beat([0, 1], at: 0)
    scene.judge.see(.stopped, of: 1, at: 1)
    scene.beat([0], at: 4.9)
    #expect(scene.judge.finding(at: 4.9) == nil)
    scene.beat([0], at: 5.2)
    #expect(scene.judge.finding(at: 5.2) == .stopped(1, 5.2))
    scene.judge.see(.running, of: 1, at: 5.3)
    scene.beat([0], at: 29)
    #expect(scene.judge.finding(at: 29) == nil)
    scene.beat([0], at: 30)
    #expect(scene.judge.finding(at: 30) == .silent(1, 30))
  }

  @Test("time in which the watchdog itself did not run accuses nobody")
  func forgiven() {
    let scene = Scene(ranks: 2)
    scene.beat([0, 1], at: 0)
    scene.judge.forgive(300)
    #expect(scene.judge.finding(at: 303) == nil)
    #expect(scene.judge.finding(at: 305.5) == .silent(0, 5.5))
  }

  @Test("a rank that owes a collective and stands still is stuck after the deadline; the ones that wait are not")
  func stuck() throws {
    let scene = Scene(ranks: 3, deadline: 0.05)
    scene.note([0, 1, 2], 0, "first", [.requested, .began, .ended])
    scene.note([0, 2], 1, "second", [.requested, .began])
    scene.beat([0, 1, 2], at: 0)
    #expect(scene.judge.finding(at: 0) == nil)
    Thread.sleep(forTimeInterval: 0.08)
    scene.beat([0, 1, 2], at: 0.08)
    let finding = try #require(scene.judge.finding(at: 0.08))
    guard case .stuck(let ranks, let seconds) = finding else {
      Issue.record("\(finding)")
      return
    }
    #expect(ranks == [1] && seconds >= 0.05)
  }

  @Test(
    "whoever moves, is in a file operation, is owed nothing, or has asked for its share is not stuck",
    arguments: ["ticks", "files", "nobody waits", "asked", "deadline 0"])
  func notStuck(reason: String) {
    let scene = Scene(ranks: 2, deadline: reason == "deadline 0" ? 0 : 0.05)
    scene.note([0, 1], 0, "first", [.requested, .began, .ended])
    if reason != "nobody waits" { scene.note([0], 1, "second", [.requested, .began]) }
    if reason == "asked" { scene.note([1], 1, "second", [.requested]) }
    scene.beat([0, 1], at: 0)
    Thread.sleep(forTimeInterval: 0.08)
    scene.beat([0, 1], moving: reason == "ticks" ? [1] : [], files: reason == "files" ? 1 : 0, at: 0.08)
    #expect(scene.judge.finding(at: 0.08) == nil)
  }

  @Test("ranks in different collectives at one place of the order are both named")
  func diverged() throws {
    let scene = Scene(ranks: 2, deadline: 0.05)
    scene.note([0], 0, "left", [.requested, .began])
    scene.note([1], 0, "right", [.requested, .began])
    scene.beat([0, 1], at: 0)
    #expect(scene.judge.finding(at: 0) == nil)
    Thread.sleep(forTimeInterval: 0.08)
    scene.beat([0, 1], at: 0.08)
    #expect(try #require(scene.judge.finding(at: 0.08)).ranks == [0, 1])
  }

  @Test("a verdict names rank, host, pid, phase and collective, and what the others wait for")
  func sentence() throws {
    let scene = Scene(ranks: 4)
    scene.note([0, 1, 2, 3], 0, "first", [.requested, .began, .ended])
    scene.note([0, 2], 1, "losses", [.requested, .began])
    scene.recorders[1].enter(.backward, "blocks.3", step: 12)
    scene.recorders[3].enter(.forward, "head", step: 12)
    let witnesses = try scene.recorders.map { recorder in
      let member = #"{ "rank": \#(recorder.rank), "host": "node7", "pid": \#(100 + recorder.rank) }"#
      return Verdict.Witness(
        member: try JSONDecoder().decode(Member.self, from: Data(member.utf8)), status: recorder.now,
        clock: recorder.now.notedAt)
    }
    let verdict = Verdict(.stopped(1, 5.24), witnesses)
    #expect(
      verdict.sentence
        == "rank 1 on node7 (pid 101) is stopped: no heartbeat for 5.2 s; it was in backward 'blocks.3' of step 12, after barrier 'first' (sequence 0); "
        + "ranks 0 and 2 wait in barrier 'losses' (sequence 1), which is owed, for 0.0 s; rank 3 is in forward 'head' of step 12"
    )
    #expect(
      verdict.table.count == 4 && verdict.table[3].hasPrefix("rank 3 on node7 (pid 103): in forward 'head' of step 12"))
    #expect(verdict.text.hasPrefix("verdict: rank 1 on node7 (pid 101) is stopped"))
  }
}
