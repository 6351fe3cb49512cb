// swift-tools-version:6.2
import PackageDescription

/// On for every Swift target: spelled-out existentials and explicit imports.
let swift: [SwiftSetting] = [
  .enableUpcomingFeature("ExistentialAny"), .enableUpcomingFeature("MemberImportVisibility"),
  .enableUpcomingFeature("InternalImportsByDefault"),
]

let logging = Target.Dependency.product(name: "Logging", package: "swift-log")
let yams = Target.Dependency.product(name: "Yams", package: "Yams")
let argumentParser = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")

/// Inputs made by libFuzzer for the readers; only when asked for, since it links with a sanitizer alone (Tests/Fuzzing).
let fuzzing: [Target] =
  Context.environment["ESPALIER_FUZZING"] == nil
  ? []
  : [
    .executableTarget(
      name: "espalier-fuzzing", dependencies: ["EspalierState"], path: "Tests/Fuzzing",
      exclude: ["README.md", "Corpus", "run"], swiftSettings: swift)
  ]

let package = Package(
  name: "espalier",
  products: [
    .executable(name: "espalier", targets: ["espalier"]),
    .library(name: "EspalierTensor", targets: ["EspalierTensor"]),
    .library(name: "EspalierComm", targets: ["EspalierComm"]),
    .library(name: "EspalierNN", targets: ["EspalierNN"]),
    .library(name: "EspalierState", targets: ["EspalierState"]),
    .library(name: "EspalierMethods", targets: ["EspalierMethods"]),
    .library(name: "EspalierTrain", targets: ["EspalierTrain"]),
    .library(name: "EspalierCommand", targets: ["EspalierCommand"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
    .package(url: "https://github.com/jpsim/Yams", from: "6.2.0"),
    .package(url: "https://github.com/apple/swift-log", from: "1.16.0"),
  ],
  targets: [
    // System libraries, found by pkg-config.
    .systemLibrary(name: "COpenBLAS", pkgConfig: "openblas", providers: [.apt(["libopenblas-dev"])]),
    .systemLibrary(name: "COpenMPI", pkgConfig: "ompi-c", providers: [.apt(["libopenmpi-dev"])]),
    .systemLibrary(name: "CZstd", pkgConfig: "libzstd", providers: [.apt(["libzstd-dev"])]),
    .systemLibrary(name: "CXXHash", pkgConfig: "libxxhash", providers: [.apt(["libxxhash-dev"])]),
    .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),

    // Our C: kernels in variants by processor level; MPI's macros as flat functions.
    .target(name: "CKernels", linkerSettings: [.linkedLibrary("m")]),
    .target(name: "CMPI", dependencies: ["COpenMPI"]),

    // Swift, bottom to top.
    .target(name: "EspalierTensor", dependencies: ["CKernels", "COpenBLAS"], swiftSettings: swift),
    .target(name: "EspalierComm", dependencies: ["CMPI", "CKernels"], swiftSettings: swift),
    .target(name: "EspalierNN", dependencies: ["EspalierTensor"], swiftSettings: swift),
    .target(
      name: "EspalierState", dependencies: ["EspalierNN", "EspalierComm", "CKernels", "CZstd", "CXXHash"],
      swiftSettings: swift),
    .target(name: "EspalierMethods", dependencies: ["EspalierState", "CKernels"], swiftSettings: swift),
    .target(
      name: "EspalierTrain", dependencies: ["EspalierMethods", "CKernels", "CZstd", "CZlib", yams, logging],
      swiftSettings: swift),
    .target(name: "EspalierCommand", dependencies: ["EspalierTrain", argumentParser], swiftSettings: swift),
    .executableTarget(name: "espalier", dependencies: ["EspalierCommand"], swiftSettings: swift),

    // Used by Tests alone: closeness, gradient checks, double-precision references, in-process ranks.
    .target(name: "EspalierTesting", dependencies: ["EspalierTrain"], swiftSettings: swift),
    // Runs the laws of a transport under mpirun; started by EspalierCommTests.
    .executableTarget(
      name: "espalier-conformance", dependencies: ["EspalierComm", "EspalierTesting"], swiftSettings: swift),
    .testTarget(
      name: "EspalierTensorTests", dependencies: ["EspalierTensor", "EspalierTesting"], swiftSettings: swift),
    .testTarget(
      name: "EspalierCommTests", dependencies: ["EspalierComm", "CMPI", "EspalierTesting", "espalier-conformance"],
      swiftSettings: swift),
    .testTarget(name: "EspalierNNTests", dependencies: ["EspalierNN", "EspalierTesting"], swiftSettings: swift),
    .testTarget(
      name: "EspalierStateTests", dependencies: ["EspalierState", "EspalierTesting", "espalier"],
      resources: [.copy("Goldens")], swiftSettings: swift),
    .testTarget(
      name: "EspalierMethodsTests", dependencies: ["EspalierMethods", "EspalierTesting"],
      resources: [.copy("Goldens")], swiftSettings: swift),
    .testTarget(
      name: "EspalierTrainTests", dependencies: ["EspalierTrain", "EspalierTesting"],
      resources: [.copy("Goldens")], swiftSettings: swift),
    .testTarget(
      name: "EndToEndTests", dependencies: ["EspalierCommand", "EspalierTesting", "espalier"], swiftSettings: swift),
  ] + fuzzing,
  swiftLanguageModes: [.v6])
