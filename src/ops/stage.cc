// Staging areas: what they do stands in data/staging.h. Each op names its area by attributes, and whichever runs first
// makes it. TensorFlow's ops block a thread that nothing can free; these wait like those of queues, and end when their
// step or session does.

#include "data/staging.h"
#include "op/shape_context.h"
#include "ops/named_resource.h"

namespace millrace {
namespace {

// What the attributes of all these ops say.
struct AreaAttrs {
  ResourceName name;
  StagingLimits limits;
  std::vector<DataType> types;
};

absl::StatusOr<AreaAttrs> area_attrs(const KernelInit& init) {
  AreaAttrs attrs;
  MR_ASSIGN_OR_RETURN(attrs.name, resource_name(init, true));
  MR_ASSIGN_OR_RETURN(attrs.limits.capacity, init.attr<int64_t>("capacity"));
  MR_ASSIGN_OR_RETURN(attrs.limits.memory_limit, init.attr<int64_t>("memory_limit"));
  MR_ASSIGN_OR_RETURN(attrs.types, init.attr<std::vector<DataType>>("dtypes"));
  return attrs;
}

absl::StatusOr<std::shared_ptr<StagingArea>> find_area(ResourceManager& resources, const AreaAttrs& attrs) {
  return resources.lookup_or_create<StagingArea>(
      attrs.name.container, attrs.name.name,
      [&]() -> absl::StatusOr<std::shared_ptr<StagingArea>> { return std::make_shared<StagingArea>(attrs.limits); });
}

template <class Map> absl::StatusOr<std::shared_ptr<Map>> find_map(ResourceManager& resources, const AreaAttrs& attrs) {
  return resources.lookup_or_create<Map>(
      attrs.name.container, attrs.name.name,
      [&]() -> absl::StatusOr<std::shared_ptr<Map>> { return std::make_shared<Map>(attrs.limits, attrs.types); });
}

Element inputs_from(const KernelContext& ctx, int first) {
  Element values;
  for (int i = first; i < ctx.num_inputs(); ++i) values.push_back(ctx.input(i));
  return values;
}

absl::Status set_outputs(KernelContext& ctx, int first, Element values) {
  for (size_t i = 0; i < values.size(); ++i)
    MR_RETURN_IF_ERROR(ctx.set_output(first + static_cast<int>(i), std::move(values[i])));
  return absl::OkStatus();
}

// --- areas in the order of time

class AreaKernel : public AsyncKernel {
  absl::Status init(KernelInit& init) final {
    MR_ASSIGN_OR_RETURN(attrs_, area_attrs(init));
    return absl::OkStatus();
  }
  void compute_async(KernelContext& ctx, Done done) final {
    const auto area = find_area(ctx.resources(), attrs_);
    if (!area.ok()) return done(area.status());
    // The callback keeps the area alive, should the session forget it meanwhile.
    access(**area, ctx, [&ctx, area = *area, done = std::move(done)](absl::Status status, Element tuple) {
      if (status.ok()) status = set_outputs(ctx, 0, std::move(tuple));
      done(std::move(status));
    });
  }
  virtual void access(StagingArea& area, KernelContext& ctx, StagingArea::Done done) = 0;
  AreaAttrs attrs_;
};

class Stage final : public AreaKernel {
  void access(StagingArea& area, KernelContext& ctx, StagingArea::Done done) override {
    area.put(inputs_from(ctx, 0), ctx.cancellation(), std::move(done));
  }
};

class Unstage final : public AreaKernel {
  void access(StagingArea& area, KernelContext& ctx, StagingArea::Done done) override {
    area.get(ctx.node().output_types, ctx.cancellation(), std::move(done));
  }
};

class StagePeek final : public AreaKernel {
  void access(StagingArea& area, KernelContext& ctx, StagingArea::Done done) override {
    if (ctx.shape(0).rank() != 0) return done(invalid_argument("index must be scalar"), {});
    const auto index = ctx.int_scalar(0);
    if (!index.ok()) return done(index.status(), {});
    area.peek(*index, ctx.node().output_types, ctx.cancellation(), std::move(done));
  }
};

// --- areas by key

// Of the inputs from `first` on: a key, unless it is not asked for, and indices.
struct Place {
  int64_t key = 0;
  std::vector<int64_t> indices;
};

absl::StatusOr<Place> place_of(const KernelContext& ctx, bool with_key) {
  Place place;
  if (with_key) {
    if (ctx.shape(0).num_elements() == 0) return invalid_argument("key must not be empty");
    if (ctx.shape(0).rank() != 0)
      return invalid_argument("key must be an int64 scalar, got tensor with shape: ", ctx.shape(0));
    MR_ASSIGN_OR_RETURN(place.key, ctx.int_scalar(0));
  }
  MR_ASSIGN_OR_RETURN(place.indices, ctx.int_values(with_key ? 1 : 0));
  return place;
}

template <class Map> class MapKernel : public AsyncKernel {
 protected:
  absl::Status init(KernelInit& init) final {
    MR_ASSIGN_OR_RETURN(attrs_, area_attrs(init));
    return absl::OkStatus();
  }
  // Calls `use(map, place, done)`, whose parts become the outputs, after the key if that was not given.
  template <class Use> void with_map(KernelContext& ctx, bool with_key, AsyncKernel::Done done, Use use) {
    const auto map = find_map<Map>(ctx.resources(), attrs_);
    if (!map.ok()) return done(map.status());
    absl::StatusOr<Place> place = place_of(ctx, with_key);
    if (!place.ok()) return done(place.status());
    use(**map, *std::move(place),
        [&ctx, map = *map, with_key, done = std::move(done)](absl::Status status, int64_t key, Element parts) {
          if (status.ok() && !with_key) status = ctx.set_scalar(0, key);
          if (status.ok()) status = set_outputs(ctx, with_key ? 0 : 1, std::move(parts));
          done(std::move(status));
        });
  }
  AreaAttrs attrs_;
};

template <class Map> class MapStage final : public MapKernel<Map> {
  void compute_async(KernelContext& ctx, AsyncKernel::Done done) override {
    this->with_map(ctx, true, std::move(done), [&](StagingMap& map, Place place, StagingMap::Done put) {
      map.put(place.key, std::move(place.indices), inputs_from(ctx, 2), ctx.cancellation(), std::move(put));
    });
  }
};

template <class Map> class MapUnstage final : public MapKernel<Map> {
  void compute_async(KernelContext& ctx, AsyncKernel::Done done) override {
    this->with_map(ctx, true, std::move(done), [&](StagingMap& map, Place place, StagingMap::Done got) {
      map.get(place.key, std::move(place.indices), ctx.node().output_types, ctx.cancellation(), std::move(got));
    });
  }
};

template <class Map> class MapPeek final : public MapKernel<Map> {
  void compute_async(KernelContext& ctx, AsyncKernel::Done done) override {
    this->with_map(ctx, true, std::move(done), [&](StagingMap& map, Place place, StagingMap::Done got) {
      map.peek(place.key, std::move(place.indices), ctx.node().output_types, ctx.cancellation(), std::move(got));
    });
  }
};

template <class Map> class MapUnstageNoKey final : public MapKernel<Map> {
  void compute_async(KernelContext& ctx, AsyncKernel::Done done) override {
    this->with_map(ctx, false, std::move(done), [&](StagingMap& map, Place place, StagingMap::Done got) {
      std::vector<DataType> types(ctx.node().output_types.begin() + 1, ctx.node().output_types.end());
      map.get_first(std::move(place.indices), std::move(types), ctx.cancellation(), std::move(got));
    });
  }
};

// --- what never waits

template <class Area> class OfArea : public Kernel {
  absl::Status init(KernelInit& init) final {
    MR_ASSIGN_OR_RETURN(attrs_, area_attrs(init));
    return absl::OkStatus();
  }

 protected:
  absl::StatusOr<std::shared_ptr<Area>> find(KernelContext& ctx) const {
    if constexpr (std::is_same_v<Area, StagingArea>) return find_area(ctx.resources(), attrs_);
    else return find_map<Area>(ctx.resources(), attrs_);
  }
  AreaAttrs attrs_;
};

template <class Area> class Size final : public OfArea<Area> {
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const auto area, this->find(ctx));
    return ctx.set_scalar(0, static_cast<int32_t>(area->size()));
  }
};

template <class Map> class IncompleteSize final : public OfArea<Map> {
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const auto map, this->find(ctx));
    return ctx.set_scalar(0, static_cast<int32_t>(map->incomplete_size()));
  }
};

template <class Area> class Clear final : public OfArea<Area> {
  absl::Status compute(KernelContext& ctx) override {
    MR_ASSIGN_OR_RETURN(const auto area, this->find(ctx));
    area->clear();
    return absl::OkStatus();
  }
};

// --- definitions

constexpr const char* kSomeTypes = "dtypes: list(type) >= 1";
constexpr const char* kTypes = "dtypes: list(type)";

OpBuilder with_limits(OpBuilder op) { return op.attr("capacity: int >= 0 = 0").attr("memory_limit: int >= 0 = 0"); }

OpBuilder finish(OpBuilder op, ShapeFunction shape) {
  return op.attr("container: string = ''")
      .attr("shared_name: string = ''")
      .stateful()
      .shape(shape)
      .not_differentiable();
}

void register_areas(Registry& registry) {
  finish(with_limits(registry.op("Stage").input("values: dtypes")).attr(kSomeTypes), no_outputs)
      .cpu<Stage>()
      .doc("Puts a tuple of tensors into a staging area, once there is room.");
  finish(with_limits(registry.op("Unstage").output("values: dtypes")).attr(kSomeTypes), unknown_shapes)
      .cpu<Unstage>()
      .doc("Takes the tuple that came first from a staging area, once there is one.");
  finish(with_limits(registry.op("StagePeek").input("index: int32").output("values: dtypes")).attr(kSomeTypes),
         unknown_shapes)
      .cpu<StagePeek>()
      .doc("The tuple at a position of a staging area, which keeps it.");
  finish(with_limits(registry.op("StageSize").output("size: int32")).attr(kTypes), scalar_shape)
      .cpu<Size<StagingArea>>()
      .doc("How many tuples are in a staging area.");
  finish(with_limits(registry.op("StageClear")).attr(kTypes), no_outputs)
      .cpu<Clear<StagingArea>>()
      .doc("Empties a staging area.");
}

template <class Map> void register_maps(Registry& registry, std::string_view prefix) {
  const auto op = [&](std::string_view name) { return registry.op(str_cat(prefix, name)); };
  finish(with_limits(op("MapStage").input("key: int64").input("indices: int32").input("values: fake_dtypes"))
             .attr(kTypes)
             .attr("fake_dtypes: list(type) >= 1"),
         no_outputs)
      .template cpu<MapStage<Map>>()
      .doc("Puts a tuple, or parts of it, under a key, once there is room.");
  finish(with_limits(op("MapUnstage").input("key: int64").input("indices: int32").output("values: dtypes"))
             .attr(kSomeTypes),
         unknown_shapes)
      .template cpu<MapUnstage<Map>>()
      .doc("Takes parts of the tuple under a key, once it is complete.");
  finish(
      with_limits(op("MapPeek").input("key: int64").input("indices: int32").output("values: dtypes")).attr(kSomeTypes),
      unknown_shapes)
      .template cpu<MapPeek<Map>>()
      .doc("Parts of the tuple under a key, which stays there.");
  finish(with_limits(op("MapUnstageNoKey").input("indices: int32").output("key: int64").output("values: dtypes"))
             .attr(kSomeTypes),
         unknown_shapes)
      .template cpu<MapUnstageNoKey<Map>>()
      .doc("Takes parts of the tuple with the smallest key, and tells it.");
  finish(with_limits(op("MapSize").output("size: int32")).attr(kTypes), scalar_shape)
      .template cpu<Size<Map>>()
      .doc("How many tuples are complete.");
  finish(with_limits(op("MapIncompleteSize").output("size: int32")).attr(kTypes), scalar_shape)
      .template cpu<IncompleteSize<Map>>()
      .doc("How many tuples miss parts.");
  finish(with_limits(op("MapClear")).attr(kTypes), no_outputs)
      .template cpu<Clear<Map>>()
      .doc("Removes all tuples, complete or not.");
}

}  // namespace

void register_stage(Registry& registry) {
  register_areas(registry);
  register_maps<StagingMap>(registry, "");
  register_maps<OrderedStagingMap>(registry, "Ordered");
}

}  // namespace millrace
