package import EspalierComm
import Foundation

extension Communicator {
  /// Every rank's value, by rank.
  package func gatherValues<Value: Codable & Sendable>(_ value: Value, label: String) throws -> [Value] {
    guard size > 1 else { return [value] }
    let bytes = Array(try JSONEncoder().encode([value]))
    return try allGather(bytes: bytes, label: label).wait().map {
      try JSONDecoder().decode([Value].self, from: Data($0))[0]
    }
  }

  /// As `gatherValues`, for values that hold megabytes of `Data`: as a binary property list, where JSON would spell them in letters.
  package func gatherLargeValues<Value: Codable & Sendable>(_ value: Value, label: String) throws -> [Value] {
    guard size > 1 else { return [value] }
    let encoder = PropertyListEncoder()
    encoder.outputFormat = .binary
    let heard = try allGather(bytes: Array(try encoder.encode([value])), label: label).wait()
    return try heard.enumerated().map { rank, bytes in
      rank == self.rank ? value : try PropertyListDecoder().decode([Value].self, from: Data(bytes))[0]
    }
  }

  /// Rank 0 decides and everyone learns what; where it throws, every rank throws, so that all of them end.
  ///
  /// Ranks never decide from their own look at a shared directory: network file systems show it to each in its own time.
  package func decide<Value: Codable & Sendable>(_ label: String, _ decision: () throws -> Value) throws -> Value {
    guard size > 1 else { return try decision() }
    var failure: (any Error)?
    var verdict = Verdict<Value>(value: [], failure: nil)
    if rank == 0 {
      do { verdict.value = [try decision()] } catch {
        failure = error
        verdict.failure = "\(error)"
      }
    }
    let bytes = Array(try JSONEncoder().encode(verdict))
    let heard = try broadcast(bytes: rank == 0 ? bytes : [], from: 0, label: label).wait()
    if let failure { throw failure }
    let decided = try JSONDecoder().decode(Verdict<Value>.self, from: Data(heard))
    if let reason = decided.failure { throw RefusedByRankZero(reason: reason) }
    return decided.value[0]
  }

  /// Throws on every rank if `action` threw on any: the own error where it happened, elsewhere that of the lowest rank.
  package func together<Value>(_ label: String, _ action: () throws -> Value) throws -> Value {
    let own: Result<Value, any Error>
    do { own = .success(try action()) } catch { own = .failure(error) }
    var reason = ""
    if case .failure(let error) = own { reason = "\(error)" }
    let reasons = try gatherValues(reason, label: label)
    if case .success = own, let first = reasons.firstIndex(where: { !$0.isEmpty }) {
      throw RefusedByPeer(rank: first, reason: reasons[first])
    }
    return try own.get()
  }
}

private struct Verdict<Value: Codable>: Codable {
  /// One element, or none where rank 0 failed.
  var value: [Value]
  var failure: String?
}

/// Rank 0 refused; it prints the reason, the others only end.
package struct RefusedByRankZero: Error, CustomStringConvertible {
  package let reason: String
  package var description: String { reason }
}

/// Another rank failed; it prints the reason.
package struct RefusedByPeer: Error, CustomStringConvertible {
  package let rank: Int
  package let reason: String
  package var description: String { "rank \(rank): \(reason)" }
}
