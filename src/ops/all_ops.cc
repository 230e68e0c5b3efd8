#include "ops/all_ops.h"

#include "ops/families.h"

namespace millrace {

const Registry& all_ops() {
  static const Registry* const registry = [] {
    auto* r = new Registry;  // lives as long as the process: graphs and sessions point into it
    register_accumulator(*r);
    register_activation(*r);
    register_adaptive_training(*r);
    register_aggregate(*r);
    register_argmax(*r);
    register_barrier(*r);
    register_batch_norm(*r);
    register_bias(*r);
    register_binary_math(*r);
    register_bincount(*r);
    register_bitwise(*r);
    register_candidate_sampler(*r);
    register_cast(*r);
    register_checkpoint_ops(*r);
    register_checkpoint_remap(*r);
    register_comparison(*r);
    register_complex(*r);
    register_concat(*r);
    register_constant(*r);
    register_control_flow(*r);
    register_convolution(*r);
    register_crop_and_resize(*r);
    register_cross_entropy(*r);
    register_cumulative(*r);
    register_data_formats(*r);
    register_dataset_functions(*r);
    register_dataset_sources(*r);
    register_dataset_transforms(*r);
    register_decode(*r);
    register_diag(*r);
    register_edit_distance(*r);
    register_einsum(*r);
    register_fft(*r);
    register_file_ops(*r);
    register_functional(*r);
    register_gather(*r);
    register_identity(*r);
    register_image_boxes(*r);
    register_image_codec(*r);
    register_image_color(*r);
    register_inplace(*r);
    register_iterator(*r);
    register_linear_algebra(*r);
    register_lookup_table_ops(*r);
    register_lrn(*r);
    register_matmul(*r);
    register_nearest_neighbors(*r);
    register_order_statistics(*r);
    register_pad(*r);
    register_parsing(*r);
    register_partition(*r);
    register_pooling(*r);
    register_quantization(*r);
    register_queue(*r);
    register_random(*r);
    register_random_rejection(*r);
    register_range(*r);
    register_reader(*r);
    register_reduction(*r);
    register_resize(*r);
    register_resize_bicubic(*r);
    register_resource_gather(*r);
    register_resource_variable(*r);
    register_reverse(*r);
    register_rounding(*r);
    register_scatter(*r);
    register_scatter_nd(*r);
    register_search_sorted(*r);
    register_segment(*r);
    register_select(*r);
    register_set_ops(*r);
    register_shape_ops(*r);
    register_slice(*r);
    register_softmax(*r);
    register_space(*r);
    register_sparse_cross(*r);
    register_sparse_dense(*r);
    register_sparse_layout(*r);
    register_sparse_math(*r);
    register_sparse_reduce(*r);
    register_sparse_segment(*r);
    register_sparse_serialize(*r);
    register_sparse_tensors_map(*r);
    register_special_math(*r);
    register_spectral(*r);
    register_stack(*r);
    register_string_format(*r);
    register_string_numbers(*r);
    register_string_ops(*r);
    register_string_regex(*r);
    register_summary_ops(*r);
    register_table_initializer(*r);
    register_tensor_array(*r);
    register_tensor_list(*r);
    register_tensor_list_stack(*r);
    register_tile(*r);
    register_training(*r);
    register_transpose(*r);
    register_tridiagonal(*r);
    register_truncated_normal(*r);
    register_unary_math(*r);
    register_unicode(*r);
    register_unique(*r);
    register_variable(*r);
    register_where(*r);
    return r;
  }();
  return *registry;
}

}  // namespace millrace
