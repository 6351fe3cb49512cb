import CKernels

extension Tensor {
  /// A convolution of images with square kernels, without bias.
  ///
  /// x [samples, channels, height, width], `weight` [outputs, channels·kernel·kernel] → [samples, outputs, height', width'], where
  /// height' = (height + 2·padding − kernel) / stride + 1, rounded down. Patches are written out and multiplied, some samples at a
  /// time, and once more in the backward pass, so that none are kept. No samples give none, and then the weight's gradient is zero.
  /// - Precondition: the shapes fit, and the kernel lies within the padded image.
  public func convolution2D(_ weight: Tensor, stride: Int = 1, padding: Int = 0) -> Tensor {
    let patches = Patches(self, weight, stride: stride, padding: padding)
    let shape = patches.outputShape
    let output = tape.pool.storage(count: shape.count)
    patches.forward(self, weight, into: output.pointer)
    let x = weight.node == nil ? place : self
    return tape.record(output, shape, inputs: [self, weight]) { dy, gradients in
      // The weight before the input, as in `linear`.
      gradients.add(to: weight) { patches.weightGradient(x, dy, beta: $1, into: $0) }
      gradients.add(to: x) { patches.inputGradient(weight, dy, beta: $1, into: $0) }
    }
  }
}

extension Tensor {
  /// Tells the tape's observer that a convolution reads the patches of this tensor.
  public func observed(by layer: String, weight: Tensor, stride: Int, padding: Int) -> Tensor {
    if let observer = tape.inputObserver {
      observer(layer, LayerInput(patches: Patches(self, weight, stride: stride, padding: padding).whole, of: self))
    }
    return self
  }
}

/// The patches of one convolution and the products with them.
private struct Patches {
  let whole: ck_patch_shape
  private let outputs: Int
  /// Samples whose patches are multiplied at once: small images give too few columns for a good product.
  private let together: Int

  init(_ x: Tensor, _ weight: Tensor, stride: Int, padding: Int) {
    let sizes = x.shape.dimensions
    require(sizes.count == 4, "a convolution reads [samples, channels, height, width], not \(x.shape)")
    require(stride > 0 && padding >= 0, "a stride of \(stride) or a padding of \(padding) has no meaning")
    let channels = sizes[1], area = weight.shape.columns / max(channels, 1)
    let kernel = Int(Double(area).squareRoot())
    require(
      weight.shape.dimensions.count == 2 && kernel > 0 && kernel * kernel * channels == weight.shape[1],
      "a weight of \(weight.shape) is no square kernel over \(channels) channels")
    require(
      sizes[2] + 2 * padding >= kernel && sizes[3] + 2 * padding >= kernel,
      "a kernel of \(kernel) does not lie within images of \(sizes[2]) · \(sizes[3]) padded by \(padding)")
    outputs = weight.shape[0]
    whole = ck_patch_shape(
      samples: sizes[0], channels: channels, height: sizes[2], width: sizes[3], kernel: kernel, stride: stride,
      padding: padding, out_height: (sizes[2] + 2 * padding - kernel) / stride + 1,
      out_width: (sizes[3] + 2 * padding - kernel) / stride + 1)
    together =
      kernel == 1 && stride == 1 && padding == 0 ? 1 : max(1, min(512 / (whole.out_height * whole.out_width), sizes[0]))
  }

  var outputShape: Shape { [whole.samples, outputs, whole.out_height, whole.out_width] }
  private var area: Int { whole.out_height * whole.out_width }
  private var rows: Int { whole.channels * whole.kernel * whole.kernel }
  private var inputs: Int { whole.channels * whole.height * whole.width }
  /// The image is its own patches.
  private var isPlain: Bool { whole.kernel == 1 && whole.stride == 1 && whole.padding == 0 }

  /// Samples by the groups that are multiplied at once.
  private func forEachGroup(_ body: (_ first: Int, _ shape: ck_patch_shape) -> Void) {
    for first in stride(from: 0, to: whole.samples, by: together) {
      var shape = whole
      shape.samples = min(together, whole.samples - first)
      body(first, shape)
    }
  }

  func forward(_ x: Tensor, _ weight: Tensor, into output: UnsafeMutablePointer<Float>) {
    let pool = x.tape.pool
    let patches = isPlain ? nil : pool.storage(count: rows * together * area)
    let swapped = together > 1 ? pool.storage(count: outputs * together * area) : nil
    forEachGroup { first, shape in
      let columns = shape.samples * area, image = x.pointer + first * inputs
      if let patches { ck_patches(image, shape, patches.pointer) }
      let product = swapped?.pointer ?? output + first * outputs * area
      multiply(
        outputs, columns, rows, weight.matrix(rows), MatrixPlace(patches?.pointer ?? image, stride: columns), beta: 0,
        into: MatrixPlace(product, stride: columns))
      if let swapped {
        ck_swap_planes(swapped.pointer, outputs, shape.samples, area, output + first * outputs * area)
      }
    }
  }

  func weightGradient(_ x: Tensor, _ dy: Tensor, beta: Float, into destination: UnsafeMutablePointer<Float>) {
    let pool = dy.tape.pool
    let patches = isPlain ? nil : pool.storage(count: rows * together * area)
    let swapped = together > 1 ? pool.storage(count: outputs * together * area) : nil
    if whole.samples == 0, beta == 0 { destination.update(repeating: 0, count: outputs * rows) }
    forEachGroup { first, shape in
      let columns = shape.samples * area, image = x.pointer + first * inputs
      if let patches { ck_patches(image, shape, patches.pointer) }
      multiply(
        outputs, rows, columns, gradient(dy, first, shape, swapped),
        MatrixPlace(patches?.pointer ?? image, stride: columns), bTransposed: true, beta: first == 0 ? beta : 1,
        into: MatrixPlace(destination, stride: max(1, rows)))
    }
  }

  func inputGradient(_ weight: Tensor, _ dy: Tensor, beta: Float, into destination: UnsafeMutablePointer<Float>) {
    let pool = dy.tape.pool
    let patches = isPlain ? nil : pool.storage(count: rows * together * area)
    let swapped = together > 1 ? pool.storage(count: outputs * together * area) : nil
    forEachGroup { first, shape in
      let columns = shape.samples * area, image = destination + first * inputs
      multiply(
        rows, columns, outputs, weight.matrix(rows), aTransposed: true, gradient(dy, first, shape, swapped),
        beta: patches == nil ? beta : 0, into: MatrixPlace(patches?.pointer ?? image, stride: columns))
      if let patches { ck_patches_backward(patches.pointer, shape, beta, image) }
    }
  }

  /// The gradient of a group's outputs as [outputs, columns].
  private func gradient(_ dy: Tensor, _ first: Int, _ shape: ck_patch_shape, _ swapped: Storage?) -> MatrixPlace {
    let start = dy.pointer + first * outputs * area
    guard let swapped else { return MatrixPlace(start, stride: area) }
    ck_swap_planes(start, shape.samples, outputs, area, swapped.pointer)
    return MatrixPlace(swapped.pointer, stride: shape.samples * area)
  }
}
