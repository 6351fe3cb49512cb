import EspalierComm
import EspalierTesting
import EspalierTrain
import Foundation
import Testing

@Suite struct CommunicationMeterTests {
  private func collective(_ sequence: Int) -> Collective {
    Collective(kind: .allGather, label: "x", sequence: sequence, boundaries: [0, 5, 10])
  }

  @Test("the hidden share is what was communicated and not waited for")
  func hiddenShare() {
    let time = Monitor<Int64>(0)
    let meter = CommunicationMeter { time.read { $0 } }
    func note(_ moment: CollectiveMoment, at seconds: Int64, _ sequence: Int = 0) {
      time.update { $0 = seconds * 1_000_000_000 }
      meter.note(moment, collective(sequence))
    }
    #expect(meter.total.hiddenShare == nil)
    note(.requested, at: 1)
    note(.began, at: 2)
    note(.waitBegan, at: 8)
    note(.ended, at: 10)
    note(.waitEnded, at: 10)
    #expect(meter.total == CommunicationTime(busy: 8, waited: 2))
    #expect(meter.total.hiddenShare == 0.75)
    // One that fails, and a wait longer than what is waited for: nothing was hidden.
    note(.waitBegan, at: 20, 1)
    note(.began, at: 29, 1)
    note(.failed, at: 31, 1)
    note(.waitEnded, at: 31, 1)
    #expect(meter.total == CommunicationTime(busy: 10, waited: 13))
    #expect(meter.total.hiddenShare == 0)
  }
}

@Suite struct ClockOffsetTests {
  @Test("slow messages in one direction do not move the offset, for the quickest in each direction count")
  func bounds() {
    // The other clock is 5000 behind. Ways there take 10, 900, 30; ways back 800, 20, 40.
    var bounds = OffsetBounds()
    for (sent, there, back) in [(0, 10, 800), (2000, 900, 20), (4000, 30, 40)] as [(Int64, Int64, Int64)] {
      bounds.narrow(sent: sent, met: sent + there - 5000, answered: sent + there + back)
    }
    #expect(bounds.least == 5000 - 10 && bounds.most == 5000 + 20)
    #expect(bounds.middle == 5005)
    #expect(OffsetBounds().middle == 0)
  }

  @Test("ranks of one host share a clock")
  func oneHost() throws {
    #expect(try Ranks.run(3) { try TraceClock.offsets($0) } == [[0, 0, 0], [0, 0, 0], [0, 0, 0]])
  }
}

@Suite struct TraceRecorderTests {
  private func span(_ name: String, _ begin: Int64, _ end: Int64) -> TraceSpan {
    TraceSpan(name: name, category: .phase, row: .rank, begin: begin, end: end)
  }

  @Test("what finds no place is counted, and nothing is recorded after the end")
  func bound() {
    let recorder = TraceRecorder(ranks: 2, capacity: 2)
    for index in 0..<5 { recorder.add(span("s\(index)", 0, 1)) }
    let recorded = recorder.end()
    #expect(recorded.spans.map(\.name) == ["s0", "s1"] && recorded.dropped == 3)
    recorder.add(span("late", 0, 1))
    recorder.note(.began, Collective(kind: .barrier, label: "late", sequence: 0, boundaries: []))
    recorder.note(.ended, Collective(kind: .barrier, label: "late", sequence: 0, boundaries: []))
    #expect(recorder.end().spans.isEmpty)
  }

  @Test("a collective becomes a span with bytes and sequence, its wait one on the rank's row")
  func collectives() {
    let recorder = TraceRecorder(ranks: 2)
    let gather = Collective(kind: .allGather, label: "values of a", sequence: 7, boundaries: [0, 5, 10])
    // Its begin came before the recorder.
    recorder.note(.ended, gather)
    for moment in [.requested, .began, .waitBegan, .ended, .waitEnded] as [CollectiveMoment] {
      recorder.note(moment, gather)
    }
    let spans = recorder.end().spans
    #expect(spans.map(\.name) == ["allGather values of a", "wait for values of a"])
    #expect(spans.map(\.row) == [.communication, .rank] && spans.map(\.category) == [.collective, .wait])
    #expect(spans.allSatisfy { $0.sequence == 7 && $0.bytes == 40 && $0.begin <= $0.end })
  }

  @Test("events are JSON with exact times on the clock of rank 0")
  func events() throws {
    let spans = [
      span("inner", 1_000_000_000_002_000, 1_000_000_000_002_001),
      span("a \"b\"\n", 1_000_000_000_002_000, 1_000_000_000_009_999),
    ]
    let bytes = TraceFile.events(
      spans, rank: 3, name: "rank 3 on \"x\"", label: "pid 9", shift: -1_000_000_000_003_000, dropped: 4)
    let text = "[" + String(decoding: bytes, as: UTF8.self) + "]"
    #expect(text.contains(#""ts":-1.000,"dur":7.999,"#) && text.contains(#""ts":-1.000,"dur":0.001,"#))
    let events = try #require(try JSONDecoder().decode(SettingValue.self, from: Data(text.utf8)).items)
    let complete = events.filter { $0["ph"] == .text("X") }
    #expect(complete.map { $0["name"] } == [.text("a \"b\"\n"), .text("inner")], "the outer one comes first")
    #expect(events.allSatisfy { $0["pid"] == .integer(3) })
    #expect(events.contains { $0["name"] == .text("dropped_events") && $0["args"]?["count"] == .integer(4) })
  }
}

extension SettingValue {
  fileprivate var items: [SettingValue]? {
    guard case .list(let items) = self else { return nil }
    return items
  }
}
