/// Why a checkpoint could not be written, or was refused.
///
/// `description` is one sentence that names the file, the tensor where there is one, and what to do next.
package struct CheckpointError: Error, Sendable, Equatable, CustomStringConvertible {
  package enum Kind: String, Sendable, CaseIterable {
    // The file system.
    case diskFull, permissionDenied, missing, alreadyExists, symbolicLink, notRegularFile, notDirectory, inputOutput
    case notShared
    // The frame of a checkpoint.
    case notCommitted, wrongName, newerFormat, notACheckpoint, manifestTooLarge, wrongLength, checksumMismatch
    case invalidJSON, invalidField, duplicateName
    // Shards.
    case truncated, badMagic, criticalFlag, wrongSave, invalidHeader, invalidFooter, invalidIndex, paddingNotZero
    // Pieces and chunks.
    case overlap, hole, beyondShape, indexDisagrees, invalidChunk, chunkMisplaced, unknownCodec, invalidFrame
    case encodingFailed
    // What was asked for.
    case unknownTensor, unknownSlot
    // What a tool cannot do.
    case cannotRepair, cannotRecover, resultDiffers
    // The run directory.
    case locked, lockedElsewhere
  }

  package let kind: Kind
  /// The path of the file or folder, as far as it is known.
  package let file: String
  /// "name" or "name/slot".
  package let tensor: String?
  package let reason: String
  package let remedy: String
  /// `errno` of the call that failed, or 0.
  package let errorNumber: Int32

  package init(
    _ kind: Kind, file: String, tensor: String? = nil, reason: String, remedy: String, errorNumber: Int32 = 0
  ) {
    self.kind = kind
    self.file = file
    self.tensor = tensor
    self.reason = reason
    self.remedy = remedy
    self.errorNumber = errorNumber
  }

  package var description: String {
    let subject = tensor.map { " (tensor '\($0)')" } ?? ""
    return "\(file)\(subject): \(reason); \(remedy)"
  }

  /// The same error with the tensor named.
  func naming(_ tensor: String) -> CheckpointError {
    CheckpointError(kind, file: file, tensor: tensor, reason: reason, remedy: remedy, errorNumber: errorNumber)
  }

  /// What to say when bytes on disk are not what was written.
  static let damagedRemedy = "use an older checkpoint, or restore this one from a copy"

  static func damaged(_ kind: Kind, file: String, tensor: String? = nil, _ reason: String) -> CheckpointError {
    CheckpointError(kind, file: file, tensor: tensor, reason: reason, remedy: damagedRemedy)
  }

  static func newer(file: String, major: Int, minor: Int) -> CheckpointError {
    CheckpointError(
      .newerFormat, file: file,
      reason: "made by a newer Espalier: format \(major).\(minor), this build reads \(CheckpointFormat.major).x",
      remedy: "read it with that version or a later one")
  }
}

/// What every file of the format says of itself.
enum CheckpointFormat {
  static let name = "espalier-checkpoint"
  static let major = 1
  static let minor = 0
  static let manifestFile = "MANIFEST.json"
  static let commitFile = "COMMIT"
  static let shardFolder = "shards"
  static let parityFolder = "parity"
  /// Of files that hold frozen tensors and are shared by several checkpoints.
  static let frozenFolder = "frozen"
  static let maximumManifestBytes = 256 << 20
  static let maximumIndexBytes = 256 << 20
  static let maximumCommitBytes = 512
  /// Also the largest window that a zstd frame may ask for, since frames are single segments.
  static let maximumChunkBytes = 16 << 20
  static let maximumShards = 1 << 20
}
