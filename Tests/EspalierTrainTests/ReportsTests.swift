import EspalierTrain
import Foundation
import Testing

@Suite struct JournalTests {
  @Test("a line is one JSON object with sorted keys, there as soon as it is written")
  func lines() throws {
    let folder = try TemporaryFolder()
    let journal = try Journal(path: folder.path + "/metrics.jsonl", completed: 0) { 12.3456 }
    try journal.append(.step(1, loss: 2.5, rate: 0.001, gradientNorm: .infinity, tokens: 400, seconds: 0.5))
    #expect(
      try folder.read("metrics.jsonl")
        == #"{"gradientNorm":"inf","kind":"step","loss":2.5,"rate":0.001,"secondsPerStep":0.5,"step":1,"time":12.346,"tokens":400,"tokensPerSecond":800}"#
        + "\n")
    try journal.append(
      .skipped(step: 2, segment: "blocks.0", parameter: "blocks.0.up.weight", lane: 3, samples: [5, .max]))
    #expect(
      try folder.read("metrics.jsonl").split(separator: "\n").last.map(String.init)
        == #"{"kind":"skipped","lane":3,"parameter":"blocks.0.up.weight","samples":[5,18446744073709551615],"segment":"blocks.0","step":2,"time":12.346}"#
    )
  }

  @Test("a resumed run takes out the lines that it will write again, and the one that a crash tore")
  func resume() throws {
    let folder = try TemporaryFolder()
    let path = folder.path + "/metrics.jsonl"
    func step(_ number: Int) -> JournalEntry { .step(number, loss: 1, rate: 1, gradientNorm: 1, tokens: 1, seconds: 1) }
    let first = try Journal(path: path, completed: 0) { 0 }
    for number in 1...4 { try first.append(step(number)) }
    try first.append(.evaluation(step: 4, loss: 1, accuracy: 0, bitsPerByte: nil, targets: 1, seconds: 1))
    try first.append(step(5))
    // The writer thread may be late.
    try first.append(.save(step: 4, path: "x", bytes: 1, seconds: 1, waited: 0))
    try first.append(step(6))
    var bytes = Array(try folder.read("metrics.jsonl").utf8)
    bytes += Array(#"{"kind":"step","st"#.utf8)
    try folder.write("metrics.jsonl", bytes)
    let second = try Journal(path: path, completed: 4) { 0 }
    try second.append(
      .resume(step: 4, from: "x", ranks: 2, changes: [SettingsChange(key: "stage", old: "1", new: "3", isFree: true)]))
    try second.append(step(5))
    let lines = try folder.read("metrics.jsonl").split(separator: "\n").map {
      try JSONDecoder().decode(SettingValue.self, from: Data($0.utf8))
    }
    let story = lines.map { "\($0["kind"]?.recipeText ?? "") \($0["step"]?.recipeText ?? "")" }
    #expect(story == ["step 1", "step 2", "step 3", "step 4", "evaluation 4", "save 4", "resume 4", "step 5"])
    #expect(
      lines.first { $0["kind"] == .text("resume") }?["changes"]?.recipeText
        == "[{ isFree: true, key: stage, new: \"3\", old: \"1\" }]")
  }

  @Test("lines of many threads stay whole")
  func threads() throws {
    let folder = try TemporaryFolder()
    let journal = try Journal(path: folder.path + "/m", completed: 0)
    DispatchQueue.concurrentPerform(iterations: 200) { number in
      try? journal.append(.warning(step: number, String(repeating: "x", count: 1000)))
    }
    let lines = try folder.read("m").split(separator: "\n")
    #expect(lines.count == 200)
    #expect(
      lines.allSatisfy {
        (try? JSONDecoder().decode(SettingValue.self, from: Data($0.utf8)))?["kind"] == .text("warning")
      })
  }

  @Test("a folder that is missing and a full disk are said in one sentence")
  func errors() throws {
    let missing = #expect(throws: JournalError.self) { try Journal(path: "/nonexistent/m", completed: 0) }
    #expect(
      missing?.description
        == "/nonexistent/m cannot be written: No such file or directory; make the folder of --run first"
    )
    let full = try Journal(path: "/dev/full", completed: 0)
    let error = #expect(throws: JournalError.self) { try full.append(.warning(step: 1, "x")) }
    #expect(error?.kind == .diskFull)
  }
}

/// Keeps what a console prints, and has a clock that tests turn.
private final class Screen: @unchecked Sendable {  // Used by one thread at a time.
  var text = ""
  var time = 0.0
  func console(terminal: Bool, rank: Int = 0, width: Int = 80) -> Console {
    Console(
      rank: rank, interval: 10,
      output: Console.Output(isTerminal: terminal, width: { width }, write: { self.text += $0 }), clock: { self.time })
  }
}

@Suite struct ConsoleTests {
  private func at(_ step: Int, of count: Int = 400) -> Console.Progress {
    Console.Progress(step: step, stepCount: count, loss: 2.31416, tokensPerSecond: 81_234, secondsPerStep: 0.5)
  }

  @Test("the progress of a run that grows tells how often it has grown")
  func grown() {
    let screen = Screen()
    let console = screen.console(terminal: false)
    for (step, growths) in [(1, 0), (400, 1)] {
      console.progress(
        Console.Progress(
          step: step, stepCount: 400, loss: 2.31416, tokensPerSecond: 81_234, secondsPerStep: 0.5, growths: growths,
          growthCount: 1))
      screen.time += 20
    }
    #expect(
      screen.text == """
        step   1/400  loss 2.3142  81.2k tokens/s  grown 0/1  3:20 left
        step 400/400  loss 2.3142  81.2k tokens/s  grown 1/1  done

        """)
  }

  @Test("without a terminal lines are plain and come at intervals, the last one always")
  func plain() {
    let screen = Screen()
    let console = screen.console(terminal: false)
    for step in [1, 2, 399, 400] {
      console.progress(at(step))
      screen.time += 4
    }
    console.line("saved")
    console.finish()
    #expect(
      screen.text == """
        step   1/400  loss 2.3142  81.2k tokens/s  3:20 left
        step 400/400  loss 2.3142  81.2k tokens/s  done
        saved

        """)
  }

  @Test("on a terminal progress is rewritten in place, cut to its width, and lines that stay come above it")
  func terminal() {
    let screen = Screen()
    let console = screen.console(terminal: true, width: 30)
    console.progress(at(1))
    console.progress(at(2))
    console.line("saved")
    console.progress(at(3))
    console.finish()
    console.finish()
    #expect(
      screen.text == "\rstep   1/400  loss 2.3142  81\u{1b}[K" + "\r\u{1b}[Ksaved\n"
        + "\rstep   3/400  loss 2.3142  81\u{1b}[K" + "\n")
  }

  @Test("only rank 0 prints")
  func ranks() {
    let screen = Screen()
    let console = screen.console(terminal: false, rank: 1)
    console.progress(at(400))
    console.line("x")
    #expect(screen.text == "")
  }

  @Test("numbers and times are short")
  func numbers() {
    #expect(
      [0, 1.234, 12.34, 812.4, 999.6, 8_123, 81_234, 1_250_000, .nan].map(ProgressText.short) == [
        "0.00", "1.23", "12.3", "812", "1.00k", "8.12k", "81.2k", "1.25M", "nan",
      ])
    #expect(
      [0, 42, 725, 11_045, 183_600, .infinity].map(ProgressText.duration) == [
        "0:00", "0:42", "12:05", "3:04:05", "2 d 03 h", "?",
      ])
  }
}
