import EspalierState
import Foundation
import Testing

/// The rule alone: a table of cases, and laws over random ones.
@Suite struct RetentionTests {
  struct Case: Sendable, CustomStringConvertible {
    let name: String
    var last = 1
    var every = 0
    var best = 0
    var borders = false
    var maximumBytes = 0
    /// Step, and what is odd about it: "!" faulty, "?" faulty with unreadable marks, "|" border, "=1.5@20" loss of an evaluation.
    let candidates: [String]
    var justCommitted: Int?
    let kept: [Int]

    var description: String { name }

    var retention: Retention {
      var retention = Retention.last(last)
      (retention.every, retention.best, retention.borders) = (every, best, borders)
      retention.maximumBytes = maximumBytes
      return retention
    }

    static func candidate(_ text: String) -> Retention.Candidate {
      let words = text.split(separator: " ").map(String.init)
      var marks: CheckpointMarks? = CheckpointMarks()
      var isValid = true
      for word in words.dropFirst() {
        switch word {
        case "!": isValid = false
        case "?": (isValid, marks) = (false, nil)
        case "|": marks?.border = "end of phase 0 (train)"
        default:
          let parts = word.dropFirst().split(separator: "@")
          marks?.evaluation = .init(step: Int(parts[1])!, loss: Double(parts[0])!)
        }
      }
      return Retention.Candidate(step: Int(words[0])!, isValid: isValid, marks: marks, bytes: 10)
    }
  }

  static let cases: [Case] = [
    Case(name: "the newest", last: 2, candidates: ["1", "2", "3", "4"], kept: [3, 4]),
    Case(name: "by number, not by name", last: 2, candidates: ["9", "10", "100"], kept: [10, 100]),
    Case(name: "fewer than asked for", last: 5, candidates: ["1", "2"], kept: [1, 2]),
    Case(name: "a single one", candidates: ["7"], kept: [7]),
    Case(name: "0 is taken for 1", last: 0, candidates: ["6", "7"], kept: [7]),
    Case(
      name: "faulty ones do not count, and go behind the window", last: 2, candidates: ["1 ?", "2", "3", "4 ?", "5"],
      kept: [3, 4, 5]),
    Case(
      name: "faulty ones stay while good ones are too few", last: 3, candidates: ["1 ?", "2", "3"], kept: [1, 2, 3]),
    Case(
      name: "later steps neither count nor go", last: 1, candidates: ["5", "10", "50", "60 ?"], justCommitted: 10,
      kept: [10, 50, 60]),
    Case(name: "multiples", last: 1, every: 20, candidates: ["10", "20", "30", "40", "45"], kept: [20, 40, 45]),
    Case(
      name: "a faulty multiple stays, to be mended", last: 1, every: 20, candidates: ["10 ?", "20 ?", "30"],
      kept: [20, 30]),
    Case(name: "borders", last: 1, borders: true, candidates: ["10", "12 |", "20", "30"], kept: [12, 30]),
    Case(name: "borders do not matter unless wanted", last: 1, candidates: ["12 |", "30"], kept: [30]),
    Case(
      name: "a faulty one that may be a border stays", last: 1, borders: true,
      candidates: ["10 ?", "12 !", "14 | !", "30"], kept: [10, 14, 30]),
    Case(
      name: "the best", last: 1, best: 1, candidates: ["10 =3.5@10", "20 =1.25@20", "30 =2@30", "40 =2@30"],
      kept: [20, 40]),
    Case(
      name: "the best two, of which one is the newest", last: 1, best: 2,
      candidates: ["10 =3@10", "20 =2.5@20", "30 =2@30"], kept: [20, 30]),
    Case(
      name: "the first behind an evaluation stands for it", last: 1, best: 2,
      candidates: ["10 =1@9", "11 =1@9", "12 =1@9", "20 =4@20", "30 =3@30", "40 =3@30"], kept: [10, 30, 40]),
    Case(
      name: "of equal losses the later", last: 1, best: 1, candidates: ["10 =1@10", "20 =1@20", "30 =2@30"],
      kept: [20, 30]),
    Case(
      name: "a loss that is not finite is not the best", last: 1, best: 1,
      candidates: ["10 =nan@10", "20 =4@20", "30 =inf@30"], kept: [20, 30]),
    Case(name: "without evaluations there is no best", last: 1, best: 3, candidates: ["10", "20", "30"], kept: [30]),
    Case(
      name: "a faulty one is not the best", last: 1, best: 1, candidates: ["10 =1@10 !", "20 =2@20", "30 =3@30"],
      kept: [20, 30]),
    Case(
      name: "all rules at once", last: 2, every: 100, best: 1, borders: true,
      candidates: ["50 | =5@50", "60 =1@60", "100 =4@100", "110 =4@100", "120 =3@120", "130 =3@120"],
      kept: [50, 60, 100, 120, 130]),
    Case(
      name: "bytes: newest ones go first, the oldest of them first", last: 3, every: 20, maximumBytes: 30,
      candidates: ["20", "50", "55", "60", "65"], kept: [20, 60, 65]),
    Case(
      name: "bytes: then multiples, then best, then borders", last: 1, every: 20, best: 1, borders: true,
      maximumBytes: 20, candidates: ["15 |", "20", "25 =1@25", "30"], kept: [15, 30]),
    Case(
      name: "bytes: the newest stays whatever it takes", last: 3, maximumBytes: 1, candidates: ["1", "2", "3"],
      kept: [3]),
  ]

  @Test("what stays", arguments: cases)
  func table(_ given: Case) {
    let candidates = given.candidates.map(Case.candidate)
    let committed = given.justCommitted ?? candidates.map(\.step).max()!
    for order in [candidates, candidates.reversed()] {
      #expect(given.retention.kept(of: order, justCommitted: committed).keys.sorted() == given.kept)
    }
  }

  @Test("bytes of a file that several share count once, and go with the last of them")
  func sharedBytes() {
    func kept(_ limit: Int) -> [Int] {
      let shared = [["old": 50], ["base": 100], ["base": 100], ["base": 100]]
      let candidates = shared.enumerated().map { Retention.Candidate(step: $0.offset, bytes: 10, shared: $0.element) }
      var retention = Retention.last(4)
      retention.maximumBytes = limit
      return retention.kept(of: candidates, justCommitted: 3).keys.sorted()
    }
    #expect(kept(190) == [0, 1, 2, 3] && kept(189) == [1, 2, 3])
    #expect(kept(130) == [1, 2, 3] && kept(129) == [2, 3])
    #expect(kept(120) == [2, 3] && kept(119) == [3] && kept(1) == [3])
  }

  @Test("every reason is told")
  func reasons() {
    var retention = Retention.last(1)
    (retention.every, retention.best, retention.borders) = (10, 1, true)
    let candidates = ["10 | =1@10", "15 !", "20 =2@20", "25 ?", "30", "40"].map(Case.candidate)
    let kept = retention.kept(of: candidates, justCommitted: 30)
    #expect(kept == [10: [.every, .best, .border], 20: [.every], 25: [.faulty], 30: [.newest, .every], 40: [.ahead]])
  }

  @Test("the newest valid one always stays, and a retention that kept a set keeps it again")
  func laws() {
    var generator = SystemRandomNumberGenerator()
    for _ in 0..<2000 {
      let steps = Set((0..<Int.random(in: 1...12)).map { _ in Int.random(in: 1...40) })
      let losses = (0...14).map { _ in Double(Int.random(in: 1...5)) }
      let candidates = steps.map { step in
        let isValid = Int.random(in: 0..<5) > 0
        let marks = CheckpointMarks(
          border: Int.random(in: 0..<4) == 0 ? "end" : nil,
          evaluation: Bool.random() ? .init(step: step - step % 3, loss: losses[step / 3]) : nil)
        return Retention.Candidate(
          step: step, isValid: isValid, marks: isValid || Bool.random() ? marks : nil, bytes: Int.random(in: 1...9))
      }
      var retention = Retention.last(Int.random(in: 1...4))
      retention.every = [0, 4, 10].randomElement(using: &generator)!
      retention.best = Int.random(in: 0...2)
      retention.borders = Bool.random()
      let committed = steps.randomElement()!
      let kept = retention.kept(of: candidates, justCommitted: committed)
      let again = retention.kept(of: candidates.filter { kept[$0.step] != nil }, justCommitted: committed)
      #expect(again == kept, "\(retention) \(candidates)")
      retention.maximumBytes = [0, 1, 20].randomElement(using: &generator)!
      let limited = retention.kept(of: candidates, justCommitted: committed)
      let newest = candidates.filter { $0.isValid && $0.step <= committed }.map(\.step).max()
      if let newest { #expect(limited[newest]?.contains(.newest) == true, "\(retention) \(candidates)") }
      #expect(Set(limited.keys).isSubset(of: kept.keys))
    }
  }
}

/// The rule at work on a directory.
@Suite struct RetentionOnDiskTests {
  private func save(_ step: Int, _ marks: String, _ directory: CheckpointDirectory, _ retention: Retention) throws {
    let state = SampleState(shapes: [[5]], seed: UInt64(step))
    let prepared = try directory.prepare(.random())
    let plan = CheckpointPlan(
      saveID: prepared.saveID, step: step, tensors: state.tensors, slots: state.slotNames, state: Array(marks.utf8),
      world: CheckpointWorld(ranks: 1, hosts: 1, stage: 1, transport: "in-process"))
    let summary = try ShardWriter.write(
      state.snapshot(state.parts(writers: 1)[0], chunkBytes: 64), to: prepared.path, rank: 0, world: plan.world,
      saveID: prepared.saveID)
    _ = try directory.commit(plan, summaries: [summary], retention: retention)
  }

  @Test("marks are read from the checkpoints, so that another process keeps the same ones", arguments: [false, true])
  func otherProcess(forgets: Bool) throws {
    try withTemporaryRun { run in
      var retention = Retention.last(1)
      (retention.every, retention.best, retention.borders) = (40, 1, true)
      var directory = CheckpointDirectory(run: run)
      let marks = [
        10: #"{"marks":{"evaluation":{"loss":1.5,"step":10}}}"#,
        20: #"{"marks":{"border":"end of phase 0 (train)","evaluation":{"loss":2e0,"step":20}}}"#,
        30: #"{"marks":{"evaluation":{"loss":1.75,"step":30}}}"#,
        40: "{}", 50: #"{"marks":{"evaluation":{"loss":3}}}"#, 60: #"{"marks":7}"#,
      ]
      for step in stride(from: 10, through: 60, by: 10) {
        if forgets { directory = CheckpointDirectory(run: run) }
        try save(step, marks[step]!, directory, retention)
      }
      #expect(try directory.list().map(\.step) == [10, 20, 40, 60])
      #expect(try directory.kept(by: retention) == [10: [.best], 20: [.border], 40: [.every], 60: [.newest]])
    }
  }

  @Test("a checkpoint that was seen whole is judged by what it said when it cannot be read any more")
  func damagedLater() throws {
    try withTemporaryRun { run in
      var retention = Retention.last(1)
      retention.borders = true
      let directory = CheckpointDirectory(run: run)
      try save(1, #"{"marks":{"border":"end"}}"#, directory, retention)
      try FileManager.default.removeItem(atPath: directory.list()[0].path + "/COMMIT")
      try save(2, "{}", directory, retention)
      try save(3, "{}", directory, retention)
      #expect(try directory.list().map(\.step) == [1, 3])
      // Another process cannot know what it was, and leaves it.
      try save(4, "{}", CheckpointDirectory(run: run), retention)
      #expect(try directory.list().map(\.step) == [1, 4])
    }
  }
}
