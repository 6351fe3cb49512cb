package import EspalierState
import Foundation

/// What a reshard says in the history of the run.
package enum ReshardLineage {
  /// The trainer's document with one entry more. Members that this build does not know, and the text of numbers, stay as they
  /// are; a document without a history is let be.
  package static func state(of source: CheckpointReader, ranks: Int, stage: Int) throws -> [UInt8] {
    guard case .object(let members) = source.manifest.state,
      let place = members.firstIndex(where: { $0.key == "lineage" }),
      case .array(let entries) = members[place].value
    else { return source.state }
    let entry = LineageEntry(
      event: .reshard, step: source.step, ranks: ranks, stage: stage, transport: "file", kernels: "", changes: [],
      from: LineageEntry.Origin(saveID: "\(source.saveID)", ranks: source.world.ranks, stage: source.world.stage))
    let added = try StrictJSON(parsing: Array(try JSONEncoder().encode(entry)))
    var changed = members
    changed[place] = StrictJSON.Member("lineage", .array(entries + [added]))
    return StrictJSON.object(changed).canonical
  }
}
