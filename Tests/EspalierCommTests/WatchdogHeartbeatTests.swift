import EspalierComm
import Testing

@Suite("Heartbeats")
struct WatchdogHeartbeatTests {
  private func read(_ bytes: [UInt8], token: UInt64 = 77) -> Heartbeat? {
    bytes.withUnsafeBytes { Heartbeat(bytes: $0, token: token) }
  }

  @Test("carry where a rank is, in one datagram of less than 1400 bytes")
  func roundTrip() throws {
    let recorder = FlightRecorder(rank: 3, size: 4)
    recorder.enter(.forward, "blocks.2", step: 9)
    let sent = Heartbeat(.beat, rank: 3, token: 77, body: recorder.block)
    #expect(sent.bytes.count < 1400)
    let heard = try #require(read(sent.bytes))
    #expect(heard == sent && heard.status == recorder.now)
    #expect(heard.status?.activity == "in forward 'blocks.2' of step 9")
  }

  @Test("a verdict longer than a datagram is cut")
  func longVerdict() throws {
    let sent = Heartbeat(.verdict, rank: 0, token: 77, body: Array(repeating: 65, count: 5000))
    #expect(sent.bytes.count == 1400)
    #expect(try #require(read(sent.bytes)).status == nil)
  }

  @Test("of another world, cut short, or of no kind are not for us")
  func strangers() {
    let good = Heartbeat(.beat, rank: 1, token: 77, body: FlightRecorder(rank: 1, size: 2).block).bytes
    #expect(read(good) != nil)
    #expect(read(good, token: 78) == nil)
    #expect(read([]) == nil)
    for count in [1, 23, 24, 100, good.count - 1] { #expect(read(Array(good.prefix(count))) == nil) }
    #expect(read(good + [0]) == nil)
    for index in [0, 7, 16] {
      var changed = good
      changed[index] ^= 0x55
      #expect(read(changed) == nil, "byte \(index)")
    }
  }
}
