import CKernels

/// What one layer reads, as rows: the rows of a plain product, the patches of a convolution.
public struct LayerInput {
  private let x: Tensor
  /// nil for a plain product.
  private let patches: ck_patch_shape?
  /// Elements of a row.
  public let width: Int

  /// Rows of a plain product: x `[samples, …, width]`.
  init(rows x: Tensor) {
    self.x = x
    patches = nil
    width = x.shape.columns
  }

  init(patches: ck_patch_shape, of x: Tensor) {
    self.x = x
    self.patches = patches
    width = patches.channels * patches.kernel * patches.kernel
  }

  /// Rows of one sample.
  public var rowsPerSample: Int {
    patches.map { $0.out_height * $0.out_width } ?? x.shape.rows / max(x.shape[0], 1)
  }

  /// Patches that one product takes.
  private static let columnsAtOnce = 1024

  /// Adds h hᵀ of every row h of the first samples, in double precision.
  /// - Precondition: the batch has as many samples, and `sum` is `width` · `width`. Its lower triangle is left alone.
  public func addSecondMoments(ofFirst samples: Int, to sum: inout DoubleMatrix) {
    guard samples > 0 else { return }
    if var shape = patches {
      let columns = rowsPerSample, image = shape.channels * shape.height * shape.width
      // Few places of many channels make thin products, which would spend their time on reading the sum.
      let group = max(Self.columnsAtOnce / columns, 1)
      let size = width * columns * min(group, samples)
      let buffer = x.tape.pool.storage(count: size), wide = UnsafeMutablePointer<Double>.allocate(capacity: size)
      defer { wide.deallocate() }
      for first in stride(from: 0, to: samples, by: group) {
        shape.samples = min(group, samples - first)
        let count = columns * shape.samples
        ck_patches(x.pointer + first * image, shape, buffer.pointer)
        for index in 0..<width * count { wide[index] = Double(buffer.pointer[index]) }
        sum.addOuterProducts(ofColumns: wide, count: count)
      }
    } else {
      let rows = samples * rowsPerSample
      let values = UnsafeBufferPointer(start: x.pointer, count: rows * width).map(Double.init)
      sum.addOuterProducts(ofRows: values, count: rows)
    }
  }

  /// For each channel and patch of the first samples the largest singular value of the kernel · kernel elements of that channel; of a plain
  /// product the element itself. Adds s sᵀ over channels, in double precision.
  /// - Precondition: `sum` is channels · channels. Its lower triangle is left alone.
  public func addChannelNorms(ofFirst samples: Int, to sum: inout DoubleMatrix) throws {
    guard var shape = patches, shape.kernel > 1 else { return addSecondMoments(ofFirst: samples, to: &sum) }
    shape.samples = 1
    let columns = shape.out_height * shape.out_width, size = shape.channels * shape.height * shape.width
    let side = shape.kernel, buffer = x.tape.pool.storage(count: width * columns)
    for sample in 0..<samples {
      ck_patches(x.pointer + sample * size, shape, buffer.pointer)
      var norms = [Double](repeating: 0, count: shape.channels * columns)
      for channel in 0..<shape.channels {
        for column in 0..<columns {
          let patch = DoubleMatrix(
            rows: side, columns: side,
            (0..<side * side).map { Double(buffer.pointer[(channel * side * side + $0) * columns + column]) })
          norms[channel * columns + column] =
            try SymmetricEigen(patch.times(patch, otherTransposed: true)).values[0].magnitude.squareRoot()
        }
      }
      sum.addOuterProducts(ofColumns: norms, count: columns)
    }
  }

  /// Channels of a convolution, elements of a plain product's row.
  public var channels: Int { patches?.channels ?? width }
}

extension Tensor {
  /// Tells the tape's observer that a layer reads this tensor as rows.
  public func observed(by layer: String) -> Tensor {
    tape.inputObserver?(layer, LayerInput(rows: self))
    return self
  }
}
