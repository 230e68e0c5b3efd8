#pragma once
// One register function per family of ops, each defined in the file of its name. A new family adds a line here and a
// line to all_ops.cc and CMakeLists.txt.

namespace millrace {

class Registry;

void register_activation(Registry& registry);
void register_adaptive_training(Registry& registry);
void register_aggregate(Registry& registry);
void register_argmax(Registry& registry);
void register_batch_norm(Registry& registry);
void register_bias(Registry& registry);
void register_binary_math(Registry& registry);
void register_bincount(Registry& registry);
void register_bitwise(Registry& registry);
void register_candidate_sampler(Registry& registry);
void register_cast(Registry& registry);
void register_checkpoint_ops(Registry& registry);
void register_comparison(Registry& registry);
void register_complex(Registry& registry);
void register_concat(Registry& registry);
void register_constant(Registry& registry);
void register_control_flow(Registry& registry);
void register_convolution(Registry& registry);
void register_crop_and_resize(Registry& registry);
void register_cross_entropy(Registry& registry);
void register_cumulative(Registry& registry);
void register_dataset_functions(Registry& registry);
void register_dataset_sources(Registry& registry);
void register_dataset_transforms(Registry& registry);
void register_decode(Registry& registry);
void register_diag(Registry& registry);
void register_file_ops(Registry& registry);
void register_functional(Registry& registry);
void register_gather(Registry& registry);
void register_identity(Registry& registry);
void register_image_boxes(Registry& registry);
void register_image_codec(Registry& registry);
void register_image_color(Registry& registry);
void register_iterator(Registry& registry);
void register_lookup_table_ops(Registry& registry);
void register_lrn(Registry& registry);
void register_matmul(Registry& registry);
void register_pad(Registry& registry);
void register_parsing(Registry& registry);
void register_partition(Registry& registry);
void register_pooling(Registry& registry);
void register_queue(Registry& registry);
void register_random(Registry& registry);
void register_random_rejection(Registry& registry);
void register_range(Registry& registry);
void register_reduction(Registry& registry);
void register_resize(Registry& registry);
void register_resize_bicubic(Registry& registry);
void register_resource_gather(Registry& registry);
void register_resource_variable(Registry& registry);
void register_reverse(Registry& registry);
void register_rounding(Registry& registry);
void register_scatter(Registry& registry);
void register_scatter_nd(Registry& registry);
void register_search_sorted(Registry& registry);
void register_segment(Registry& registry);
void register_select(Registry& registry);
void register_set_ops(Registry& registry);
void register_shape_ops(Registry& registry);
void register_slice(Registry& registry);
void register_softmax(Registry& registry);
void register_space(Registry& registry);
void register_sparse_cross(Registry& registry);
void register_sparse_dense(Registry& registry);
void register_sparse_layout(Registry& registry);
void register_sparse_math(Registry& registry);
void register_sparse_reduce(Registry& registry);
void register_sparse_segment(Registry& registry);
void register_sparse_serialize(Registry& registry);
void register_special_math(Registry& registry);
void register_stack(Registry& registry);
void register_string_format(Registry& registry);
void register_string_numbers(Registry& registry);
void register_string_ops(Registry& registry);
void register_string_regex(Registry& registry);
void register_summary_ops(Registry& registry);
void register_table_initializer(Registry& registry);
void register_tensor_array(Registry& registry);
void register_tensor_list(Registry& registry);
void register_tensor_list_stack(Registry& registry);
void register_tile(Registry& registry);
void register_training(Registry& registry);
void register_transpose(Registry& registry);
void register_truncated_normal(Registry& registry);
void register_unary_math(Registry& registry);
void register_unique(Registry& registry);
void register_variable(Registry& registry);
void register_where(Registry& registry);

}  // namespace millrace
