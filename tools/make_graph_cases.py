#!/usr/bin/env python3
"""Writes tests/data/graphs: graphs as TensorFlow builds them, which gradient_graphs_test.cc holds ours against.

    TF_PYTHON tools/make_graph_cases.py        # a Python with tensorflow-cpu 2.21.0

gradients.tfrecord: graphs after tf.gradients(y, xs); each record has name, graph_def, y, xs and the names of the results
("values|indices|dense_shape" of sparse ones, "-" of None). shapes.tfrecord: graphs with the static shapes of all outputs.
tensor_array_gradients.tfrecord and tensor_array_shapes.tfrecord: the same of TensorArrays; vision_gradients.tfrecord: of
images, volumes, sequences and gamma samples. Names of files limit the work to these.
"""
import os
import pathlib
import sys

os.environ['TF_CPP_MIN_LOG_LEVEL'] = '3'
import tensorflow.compat.v1 as tf  # noqa: E402

tf.disable_v2_behavior()
RECORDS = {'gradients': [], 'shapes': [], 'tensor_array_gradients': [], 'tensor_array_shapes': [], 'vision_gradients': []}


def P(*shape, dtype=tf.float32):
    return tf.placeholder(dtype, shape)


def PU(dtype=tf.float32):
    return tf.placeholder(dtype)


def I(*shape):  # noqa: E743
    return tf.placeholder(tf.int32, shape)


def one(fn, *shape):
    def build():
        x = P(*shape)
        return [x], fn(x)
    return build


def oneu(fn):
    def build():
        x = PU()
        return [x], fn(x)
    return build


def record(kind, **features):
    example = tf.train.Example()
    for key, values in features.items():
        values = values if isinstance(values, list) else [values]
        example.features.feature[key].bytes_list.value.extend(v if isinstance(v, bytes) else v.encode() for v in values)
    RECORDS[kind].append(example.SerializeToString(deterministic=True))


def imported(build):
    """What build makes, through a GraphDef: without the static shapes that Python's classes set and graphs do not hold."""
    def build_imported():
        with tf.Graph().as_default() as graph:
            xs, y = build()
        names = [t.name for t in (*xs, y)]
        *xs, y = tf.import_graph_def(graph.as_graph_def(), return_elements=names, name='')
        return xs, y
    return build_imported


def gradient(name, build, file='gradients'):
    with tf.Graph().as_default() as graph:
        xs, y = build()
        results = []
        for dx in tf.gradients(y, xs):
            if isinstance(dx, tf.IndexedSlices):
                results.append('|'.join(t.name for t in (dx.values, dx.indices, dx.dense_shape)))
            else:
                results.append('-' if dx is None else dx.name)
        record(file, name=name, graph_def=graph.as_graph_def().SerializeToString(deterministic=True), y=y.name,
               xs=[x.name for x in xs], results=results)


def shape(build, file='shapes'):
    with tf.Graph().as_default() as graph:
        build()
        record(file, graph_def=graph.as_graph_def(add_shapes=True).SerializeToString(deterministic=True))


def gradients():
    gradient('reshape',one(lambda x: tf.reshape(x,[6]),2,3))
    gradient('reshape dyn',one(lambda x: tf.reshape(x,[-1]),None,3))
    gradient('reshape dyn2',one(lambda x: tf.reshape(x,[-1]),None,None))
    gradient('reshape unk',oneu(lambda x: tf.reshape(x,[-1])))
    gradient('expand',one(lambda x: tf.expand_dims(x,1),2,3))
    gradient('expand dyn',one(lambda x: tf.expand_dims(x,1),None,3))
    gradient('expand dyn2',one(lambda x: tf.expand_dims(x,1),None,None))
    gradient('squeeze',one(lambda x: tf.squeeze(x,[1]),2,1))
    gradient('squeeze dyn',one(lambda x: tf.squeeze(x,[1]),None,1))
    gradient('identity',one(tf.identity,2,3))
    gradient('identityn',lambda: (lambda a,b:([a,b],tf.identity_n([a,b])[0]))(P(2),P(3)))
    gradient('stop',one(lambda x: tf.stop_gradient(x)+x,2))
    gradient('checknum',one(lambda x: tf.check_numerics(x,'bad thing'),2))
    gradient('pwd',one(lambda x: tf.placeholder_with_default(x,[2]),2))
    gradient('fill',lambda: (lambda v:([v],tf.fill([2,3],v)))(P()))
    gradient('fill dyn',lambda: (lambda v,s:([v],tf.raw_ops.Fill(dims=s,value=v)))(P(),tf.placeholder(tf.int32,[2])))
    gradient('zeroslike',one(lambda x: tf.zeros_like(x)*x,None,2))
    gradient('oneslike',one(lambda x: tf.ones_like(x)*x,None,2))
    gradient('ensure',one(lambda x: tf.ensure_shape(x,[None,2]),None,None))
    gradient('broadcast_to',one(lambda x: tf.broadcast_to(x,[2,3]),3))
    gradient('broadcast_to dyn',lambda: (lambda v,s:([v],tf.broadcast_to(v,s)))(P(None,3),tf.placeholder(tf.int32,[2])))
    gradient('broadcast_to 64',lambda: (lambda v:([v],tf.broadcast_to(v,tf.constant([2,3],tf.int64))))(P(3)))
    gradient('transpose',one(lambda x: tf.transpose(x,[1,0]),2,3))
    gradient('transpose default',one(lambda x: tf.transpose(x),None,3))
    gradient('transpose default unk',oneu(lambda x: tf.transpose(x)))
    gradient('concat2',lambda:(lambda a,b:([a,b],tf.concat([a,b],0)))(P(2,3),P(4,3)))
    gradient('concat2 dyn',lambda:(lambda a,b:([a,b],tf.concat([a,b],1)))(P(None,3),P(None,3)))
    gradient('concat2 neg',lambda:(lambda a,b:([a,b],tf.concat([a,b],-1)))(P(None,3),P(None,3)))
    gradient('concat2 dynaxis',lambda:(lambda a,b:([a,b],tf.concat([a,b],tf.placeholder(tf.int32,[]))))(P(None,3),P(None,3)))
    gradient('concat3 dyn',lambda:(lambda a,b,c:([a,b,c],tf.concat([a,b,c],0)))(P(None,3),P(None,3),P(2,3)))
    gradient('concat v1',lambda:(lambda a,b:([a,b],tf.raw_ops.Concat(concat_dim=1,values=[a,b])))(P(None,3),P(None,3)))
    gradient('concat17',lambda:(lambda a:(a,tf.concat(a,0)))([P(None,3) for _ in range(17)]))
    gradient('concat17 static',lambda:(lambda a:(a,tf.concat(a,0)))([P(2,3) for _ in range(17)]))
    gradient('pack',lambda:(lambda a,b:([a,b],tf.stack([a,b],1)))(P(2,3),P(2,3)))
    gradient('unpack',one(lambda x: tf.unstack(x)[0],2,3))
    gradient('unpack2',one(lambda x: tf.unstack(x,axis=1)[1]*2.,2,3))
    gradient('split',one(lambda x: tf.split(x,2)[0],4,3))
    gradient('splitv',one(lambda x: tf.split(x,[1,3])[0],4,3))
    gradient('slice',one(lambda x: tf.slice(x,[1,0],[2,2]),4,3))
    gradient('slice dyn',one(lambda x: tf.slice(x,[1,0],[2,2]),None,3))
    gradient('slice dyn begin',lambda:(lambda x,b,s:([x],tf.slice(x,b,s)))(P(None,3),tf.placeholder(tf.int32,[2]),tf.placeholder(tf.int32,[2])))
    gradient('ss',one(lambda x: x[1:2,0],4,3))
    gradient('ss dyn',one(lambda x: x[1:2,0],None,3))
    gradient('ssgrad',lambda:(lambda x:([x],tf.raw_ops.StridedSliceGrad(shape=[4,3],begin=[1,0],end=[2,2],strides=[1,1],dy=x)))(P(1,2)))
    gradient('tsu',lambda:(lambda x,v:([x,v],tf.raw_ops.TensorStridedSliceUpdate(input=x,begin=[1,0],end=[2,2],strides=[1,1],value=v)))(P(4,3),P(1,2)))
    gradient('pad',one(lambda x: tf.pad(x,[[1,2],[3,4]]),4,3))
    gradient('pad dyn',one(lambda x: tf.pad(x,[[1,2],[3,4]]),None,3))
    gradient('padv2',lambda:(lambda x,v:([x,v],tf.raw_ops.PadV2(input=x,paddings=[[1,2],[3,4]],constant_values=v)))(P(4,3),P()))
    gradient('mirror',one(lambda x: tf.pad(x,[[1,1],[1,1]],mode='REFLECT'),4,3))
    gradient('mirrorgrad',one(lambda x: tf.raw_ops.MirrorPadGrad(input=x,paddings=[[1,1],[1,1]],mode='REFLECT'),4,3))
    gradient('tile',one(lambda x: tf.tile(x,[2,3]),4,3))
    gradient('tile dyn',one(lambda x: tf.tile(x,[2,3]),None,3))
    gradient('reshape 0 dim',one(lambda x: tf.reshape(x,[-1]),None,0))
    gradient('reshape 0 dim b',one(lambda x: tf.reshape(x,[0]),None,0))
    gradient('gather',one(lambda x: tf.gather(x,[1,2]),9,3))
    gradient('gather dyn',lambda:(lambda x,i:([x],tf.gather(x,i)))(P(None,3),PU(tf.int32)))
    gradient('gather dyn2',lambda:(lambda x,i:([x],tf.gather(x,i)))(P(None,3),P(None,dtype=tf.int64)))
    gradient('gather axis1',one(lambda x: tf.gather(x,[1,2],axis=1),9,3))
    gradient('gather axis-1 dyn',lambda:(lambda x,i:([x],tf.gather(x,i,axis=-1)))(P(None,3,4),P(None,dtype=tf.int64)))
    gradient('gather batch',lambda:(lambda x,i:([x],tf.gather(x,i,axis=1,batch_dims=1)))(P(2,3,4),P(2,5,dtype=tf.int32)))
    gradient('gather batch dyn',lambda:(lambda x,i:([x],tf.gather(x,i,axis=1,batch_dims=1)))(P(None,3,4),P(None,5,dtype=tf.int32)))
    gradient('gather batch axis2',lambda:(lambda x,i:([x],tf.gather(x,i,axis=2,batch_dims=1)))(P(None,3,4),P(None,5,dtype=tf.int32)))
    gradient('gather v1',one(lambda x: tf.raw_ops.Gather(params=x,indices=[1,2]),9,3))
    gradient('gathernd',one(lambda x: tf.gather_nd(x,[[1,2]]),9,3))
    gradient('gathernd 2',one(lambda x: tf.gather_nd(x,[[1],[2]]),9,3))
    gradient('gathernd dyn',lambda:(lambda x,i:([x],tf.gather_nd(x,i)))(P(None,3),PU(tf.int32)))
    gradient('gathernd 64',lambda:(lambda x,i:([x],tf.gather_nd(x,i)))(P(5,3),P(None,2,dtype=tf.int64)))
    gradient('scatternd',lambda:(lambda x:([x],tf.scatter_nd([[1],[2]],x,[4])))(P(2)))
    for nm in ['Update','Add','Sub','Min','Max']:
        gradient('ts'+nm,lambda:(lambda x,u:([x,u],getattr(tf.raw_ops,'TensorScatter'+nm)(tensor=x,indices=[[1],[2]],updates=u)))(P(4),P(2)))
    gradient('sndnaa',lambda:(lambda x,u:([x,u],tf.raw_ops.ScatterNdNonAliasingAdd(input=x,indices=[[1],[2]],updates=u)))(P(4),P(2)))
    gradient('onehot',lambda:(lambda a,b:([a,b],tf.one_hot([1,2],3,a,b)))(P(),P()))
    gradient('reverse',one(lambda x: tf.raw_ops.Reverse(tensor=x,dims=[True,False]),4,3))
    gradient('reversev2',one(lambda x: tf.reverse(x,[1]),4,3))
    gradient('revseq',one(lambda x: tf.reverse_sequence(x,[1,2,3,1],seq_axis=1,batch_axis=0),4,3))
    gradient('roll',one(lambda x: tf.roll(x,[1],[0]),4,3))
    gradient('rollscalar',one(lambda x: tf.roll(x,1,0),4,3))
    gradient('diag',one(lambda x: tf.diag(x),4))
    gradient('diagpart',one(lambda x: tf.diag_part(x),4,4))
    gradient('mdiag',one(lambda x: tf.raw_ops.MatrixDiag(diagonal=x),4))
    gradient('mdiagpart',one(lambda x: tf.raw_ops.MatrixDiagPart(input=x),4,4))
    gradient('mdiagpart rect',one(lambda x: tf.raw_ops.MatrixDiagPart(input=x),4,5))
    gradient('mdiagpart dyn',one(lambda x: tf.raw_ops.MatrixDiagPart(input=x),None,5))
    gradient('mdiagv2',lambda:(lambda a,b:([a,b],tf.raw_ops.MatrixDiagV2(diagonal=a,k=0,num_rows=-1,num_cols=-1,padding_value=b)))(P(4),P()))
    gradient('mdiagv3',lambda:(lambda a,b:([a,b],tf.raw_ops.MatrixDiagV3(diagonal=a,k=0,num_rows=-1,num_cols=-1,padding_value=b)))(P(4),P()))
    gradient('mdiagpartv2',lambda:(lambda a,b:([a,b],tf.raw_ops.MatrixDiagPartV2(input=a,k=0,padding_value=b)))(P(4,4),P()))
    gradient('mdiagpartv3',lambda:(lambda a,b:([a,b],tf.raw_ops.MatrixDiagPartV3(input=a,k=0,padding_value=b)))(P(4,4),P()))
    gradient('mdiagpartv3 dyn',lambda:(lambda a,b:([a,b],tf.raw_ops.MatrixDiagPartV3(input=a,k=0,padding_value=b)))(P(None,None),P()))
    gradient('msetdiag',lambda:(lambda a,b:([a,b],tf.raw_ops.MatrixSetDiag(input=a,diagonal=b)))(P(4,5),P(4)))
    gradient('msetdiagv2',lambda:(lambda a,b:([a,b],tf.raw_ops.MatrixSetDiagV2(input=a,diagonal=b,k=0)))(P(4,5),P(4)))
    gradient('msetdiagv3',lambda:(lambda a,b:([a,b],tf.raw_ops.MatrixSetDiagV3(input=a,diagonal=b,k=0)))(P(4,5),P(4)))
    gradient('bandpart',one(lambda x: tf.matrix_band_part(x,1,1),4,4))
    for nm in ['sum','mean','prod','max','min']:
        gradient('seg '+nm,one(lambda x: getattr(tf,'segment_'+nm)(x,[0,0,1,1]),4,3))
        gradient('seg dyn '+nm,lambda:(lambda x,i:([x],getattr(tf,'segment_'+nm)(x,i)))(P(None,3),P(None,dtype=tf.int32)))
    for nm in ['sum','prod','max','min']:
        gradient('useg '+nm,one(lambda x: getattr(tf,'unsorted_segment_'+nm)(x,[0,0,1,1],2),4,3))
        gradient('useg dyn '+nm,lambda:(lambda x,i:([x],getattr(tf,'unsorted_segment_'+nm)(x,i,2)))(P(None,3),P(None,dtype=tf.int32)))
    gradient('dynpart',lambda:(lambda x,i:([x],tf.dynamic_partition(x,i,2)[0]))(P(None,3),P(None,dtype=tf.int32)))
    gradient('dynpart static',lambda:(lambda x,i:([x],tf.dynamic_partition(x,i,2)[0]))(P(4,3),P(4,dtype=tf.int32)))
    gradient('dynstitch',lambda:(lambda x,y:([x,y],tf.dynamic_stitch([[0,1],[2,3]],[x,y])))(P(2,3),P(2,3)))
    gradient('pdynstitch',lambda:(lambda x,y:([x,y],tf.raw_ops.ParallelDynamicStitch(indices=[[0,1],[2,3]],data=[x,y])))(P(2,3),P(2,3)))
    gradient('s2b',one(lambda x: tf.raw_ops.SpaceToBatch(input=x,paddings=[[0,0],[0,0]],block_size=2),1,4,4,1))
    gradient('s2bnd',one(lambda x: tf.raw_ops.SpaceToBatchND(input=x,paddings=[[0,0],[0,0]],block_shape=[2,2]),1,4,4,1))
    gradient('b2s',one(lambda x: tf.raw_ops.BatchToSpace(input=x,crops=[[0,0],[0,0]],block_size=2),4,4,4,1))
    gradient('b2snd',one(lambda x: tf.raw_ops.BatchToSpaceND(input=x,crops=[[0,0],[0,0]],block_shape=[2,2]),4,4,4,1))
    gradient('s2d',one(lambda x: tf.space_to_depth(x,2),1,4,4,1))
    gradient('d2s',one(lambda x: tf.depth_to_space(x,2),1,4,4,4))
    for nm in ['sum','mean','sqrt_n']:
        gradient('sparse seg '+nm,one(lambda x: getattr(tf,'sparse_segment_'+nm)(x,[0,1],[0,0]),4,3))


def shapes():
    for build in [
        lambda: tf.reshape(P(None,3),[-1,tf.shape(P(None,4))[1]]),
        lambda: (lambda x: tf.reshape(x,[tf.shape(x)[0],12]))(P(None,3,4)),
        lambda: (lambda x: tf.reshape(x,tf.stack([tf.shape(x)[0],-1])))(P(None,3,4)),
        lambda: (lambda x: tf.reshape(x,tf.concat([tf.shape(x)[:1],[12]],0)))(P(None,3,4)),
        lambda: (lambda x: tf.reshape(x,tf.concat([[5],tf.shape(x)[1:]],0)))(P(None,3,4)),
        lambda: (lambda x: tf.zeros(tf.shape(x)))(P(None,3,4)),
        lambda: (lambda x: tf.zeros([tf.shape(x)[0],7]))(P(None,3,4)),
        lambda: (lambda x: tf.zeros([tf.shape(x)[1],7]))(P(None,3,4)),
        lambda: (lambda x: tf.fill(tf.shape(x)[1:],1.0))(P(None,3,4)),
        lambda: (lambda x: tf.fill(tf.shape(x)[::2],1.0))(P(None,3,4)),
        lambda: (lambda x: tf.fill(tf.shape(x)[-2:],1.0))(P(None,3,4)),
        lambda: (lambda x: tf.fill(tf.gather(tf.shape(x),[0,1]),1.0))(P(None,3,4)),
        lambda: (lambda x: tf.fill(tf.gather(tf.shape(x),[0,1]),1.0))(P(2,3,4)),
        lambda: (lambda x: tf.fill(tf.slice(tf.shape(x),[1],[2]),1.0))(P(None,3,4)),
        lambda: (lambda x: tf.fill(tf.slice(tf.shape(x),[1],[2]),1.0))(P(2,3,4)),
        lambda: (lambda x: tf.fill(tf.cast(tf.shape(x),tf.int64),1.0))(P(None,3,4)),
        lambda: (lambda x: tf.fill(tf.shape(x,out_type=tf.int64),1.0))(P(None,3,4)),
        lambda: (lambda x: tf.fill(tf.identity(tf.shape(x)),1.0))(P(2,3,4)),
        lambda: (lambda x: tf.fill(tf.shape(x)*2,1.0))(P(2,3,4)),
        lambda: (lambda x: tf.fill([tf.size(x)],1.0))(P(2,3,4)),
        lambda: (lambda x: tf.fill([tf.rank(x)],1.0))(P(None,3,4)),
        lambda: (lambda x: tf.fill([tf.size(x)],1.0))(P(None,3,4)),
        lambda: (lambda x: tf.fill([tf.shape(x)[0]*2,tf.shape(x)[1]*2],1.0))(P(None,3,4)),
        lambda: (lambda x: tf.fill(tf.expand_dims(tf.shape(x)[1],0),1.0))(P(None,3,4)),
        lambda: (lambda x: tf.fill(tf.expand_dims(tf.size(x),0),1.0))(P(2,3,4)),
        lambda: (lambda x: tf.fill(tf.reshape(tf.shape(x)[1],[1]),1.0))(P(None,3,4)),
        lambda: (lambda x: tf.fill(tf.squeeze(tf.expand_dims(tf.shape(x),0)),1.0))(P(2,3,4)),
        lambda: (lambda x: tf.fill(tf.unstack(tf.shape(x)),1.0))(P(None,3,4)),
        lambda: (lambda x: tf.fill(tf.unstack(tf.shape(x)),1.0))(P(2,3,4)),
        lambda: (lambda x: tf.fill(tf.split(tf.shape(x),3)[1],1.0))(P(2,3,4)),
        lambda: (lambda x: tf.reshape(x,tf.reduce_prod(tf.shape(x))[None]))(P(2,3,4)),
        lambda: (lambda x: tf.reshape(x,[tf.reduce_prod(tf.shape(x))]))(P(None,3,4)),
        lambda: (lambda x: tf.transpose(x,tf.range(tf.rank(x))))(P(None,3,4)),
        lambda: (lambda x: tf.transpose(x))(PU()),
        lambda: tf.transpose(P(None,3,4),I(3)),
        lambda: tf.transpose(PU(),I(3)),
        lambda: tf.transpose(PU(),[1,0]),
        lambda: tf.broadcast_to(P(3),I(2)),
        lambda: tf.broadcast_to(P(3),tf.shape(P(None,3))),
        lambda: tf.expand_dims(PU(),1),
        lambda: tf.expand_dims(P(None,3),I()),
        lambda: tf.squeeze(P(None,1,3)),
        lambda: tf.squeeze(P(None,1,3),[1]),
        lambda: tf.squeeze(P(2,1,3)),
        lambda: tf.squeeze(PU(),[1]),
        lambda: tf.concat([P(None,3),P(2,None)],0),
        lambda: tf.concat([P(None,3),P(2,None)],1),
        lambda: tf.concat([P(None,3),PU()],1),
        lambda: tf.concat([P(None,3),P(2,3)],I()),
        lambda: tf.concat([PU(),PU()],1),
        lambda: tf.stack([P(None,3),P(2,None)],1),
        lambda: tf.stack([PU(),P(2,None)],1),
        lambda: tf.stack([PU(),PU()],1),
        lambda: tf.unstack(P(None,3),axis=1),
        lambda: tf.raw_ops.Unpack(value=PU(),num=2,axis=0),
        lambda: tf.raw_ops.Unpack(value=P(None,3),num=2,axis=0),
        lambda: tf.split(P(None,4),2,axis=1),
        lambda: tf.split(P(None,4),2,axis=0),
        lambda: tf.split(P(6,4),2,axis=I()),
        lambda: tf.split(P(None,4),[1,-1],axis=1),
        lambda: tf.split(P(None,4),[1,-1],axis=0),
        lambda: tf.split(P(6,4),I(2),num=2,axis=0),
        lambda: tf.split(PU(),2,axis=1),
        lambda: tf.slice(P(None,4),[0,1],[-1,2]),
        lambda: tf.slice(P(None,4),[0,1],[2,-1]),
        lambda: tf.slice(P(None,4),I(2),[2,-1]),
        lambda: tf.slice(P(None,4),I(2),I(2)),
        lambda: tf.slice(PU(),I(2),I(2)),
        lambda: tf.slice(PU(),[0,1],[2,2]),
        lambda: tf.slice(P(None,4),[0,0],tf.stack([tf.shape(P(None))[0],2])),
        lambda: P(None,4)[1:,1:3],
        lambda: P(None,4)[0],
        lambda: P(None,4)[:,0],
        lambda: P(None,4)[...,tf.newaxis],
        lambda: P(None,4,5)[...,1],
        lambda: PU()[0],
        lambda: PU()[...,0],
        lambda: P(5,4)[I()],
        lambda: P(5,4)[I():],
        lambda: P(5,4)[:I(),2],
        lambda: P(5,4)[1:-1,-3:],
        lambda: tf.pad(P(None,4),[[1,1],[2,2]]),
        lambda: tf.pad(P(None,4),I(2,2)),
        lambda: tf.pad(PU(),[[1,1],[2,2]]),
        lambda: tf.pad(P(None,4),[[1,1],[2,2]],'REFLECT'),
        lambda: tf.tile(P(None,4),[2,3]),
        lambda: tf.tile(P(None,4),I(2)),
        lambda: tf.tile(PU(),[2,3]),
        lambda: tf.tile(P(3,4),tf.stack([tf.shape(P(None))[0],2])),
        lambda: tf.gather(P(None,4),I(None)),
        lambda: tf.gather(P(None,4),I(None,2),axis=1),
        lambda: tf.gather(P(None,4),I(2),axis=I()),
        lambda: tf.gather(PU(),I(2)),
        lambda: tf.gather(P(None,4,6),I(3,5),axis=2,batch_dims=1),
        lambda: tf.gather(P(None,4),PU(tf.int32)),
        lambda: tf.gather_nd(P(None,4),I(None,1)),
        lambda: tf.gather_nd(P(None,4),I(None,None)),
        lambda: tf.gather_nd(P(None,4),I(3,2)),
        lambda: tf.one_hot(I(None),5),
        lambda: tf.one_hot(I(None),I()),
        lambda: tf.one_hot(I(None,2),5,axis=0),
        lambda: tf.one_hot(PU(tf.int32),5),
        lambda: tf.where(P(None,4,dtype=tf.bool)),
        lambda: tf.where(PU(tf.bool)),
        lambda: tf.reverse(P(None,4),[1]),
        lambda: tf.reverse_sequence(P(None,4),I(3),seq_axis=1,batch_axis=0),
        lambda: tf.reverse_sequence(P(None,4),I(None),seq_axis=1,batch_axis=0),
        lambda: tf.roll(P(None,4),1,0),
        lambda: tf.diag(P(None,4)),
        lambda: tf.diag_part(P(None,4,3,None)),
        lambda: tf.matrix_diag(P(None,4)),
        lambda: tf.matrix_diag_part(P(None,4,5)),
        lambda: tf.matrix_diag_part(P(2,4,None)),
        lambda: tf.matrix_set_diag(P(None,4,5),P(None,4)),
        lambda: tf.matrix_band_part(P(None,4),1,1),
        lambda: tf.unique(P(None)),
        lambda: tf.unique_with_counts(P(5)),
        lambda: tf.setdiff1d(P(5),P(None)),
        lambda: tf.segment_sum(P(5,3),I(None)),
        lambda: tf.unsorted_segment_sum(P(5,3),I(None),4),
        lambda: tf.unsorted_segment_sum(P(None,3),I(5),I()),
        lambda: tf.unsorted_segment_sum(PU(),I(5),4),
        lambda: tf.dynamic_partition(P(None,3),I(None),3),
        lambda: tf.dynamic_stitch([[0,1],[2,3]],[P(2,3),P(None,3)]),
        lambda: tf.dynamic_stitch([I(2),[2,3]],[P(2,3),P(None,3)]),
        lambda: tf.space_to_batch_nd(P(None,4,6,2),[2,2],[[0,0],[1,1]]),
        lambda: tf.space_to_batch_nd(P(2,4,None,2),[2,2],[[0,0],[1,1]]),
        lambda: tf.batch_to_space_nd(P(None,4,6,2),[2,2],[[0,0],[1,1]]),
        lambda: tf.batch_to_space_nd(P(8,4,None,2),[2,2],[[0,0],[1,1]]),
        lambda: tf.space_to_depth(P(None,4,6,2),2),
        lambda: tf.space_to_depth(P(None,None,6,2),2),
        lambda: tf.depth_to_space(P(None,4,6,8),2),
        lambda: tf.scatter_nd(I(3,1),P(3),[4]),
        lambda: tf.scatter_nd(I(None,1),P(None,2),I(2)),
        lambda: tf.tensor_scatter_nd_update(P(None,3),I(2,1),P(2,3)),
        lambda: tf.ensure_shape(P(None,3),[2,None]),
        lambda: tf.placeholder_with_default(P(2,3),[None,3]),
        lambda: tf.shape_n([P(None,3),P(2)]),
        lambda: tf.zeros_like(P(None,3)),
        lambda: tf.ones_like(P(None,3)),
        lambda: tf.boolean_mask(P(None,3),P(None,dtype=tf.bool)),
        lambda: tf.boolean_mask(P(4,3),P(4,3,dtype=tf.bool)),
        lambda: tf.meshgrid(P(3),P(None)),
        lambda: tf.sequence_mask(I(None),5),
        lambda: tf.repeat(P(None,3),2,axis=0),
        lambda: tf.range(5),
        lambda: tf.range(tf.shape(P(None,3))[1]),
        lambda: tf.fill([2,3],tf.shape(P(None,3))[1]),
        lambda: tf.fill(tf.fill([2],tf.shape(P(None,3))[1]),1.0),
        lambda: tf.reshape(P(None,3),I(None)),
        lambda: tf.reshape(P(None,3),I(2)),
        lambda: tf.reshape(PU(),[2,-1]),
        lambda: tf.reshape(P(None,None),[-1]),
        lambda: tf.reshape(P(0,3),[-1,0]),
        lambda: tf.invert_permutation(I(3)),
        lambda: tf.broadcast_dynamic_shape(I(2),I(3)),
        lambda: tf.unravel_index(I(3),[3,4]),
        lambda: tf.searchsorted(P(None,4),P(None,2)),
        lambda: tf.identity_n([P(None,3),P(2)]),
    ]:
        shape(build)


def tensor_arrays():
    def of(name, use, *shape, **attrs):
        def build():
            x = P(*shape)
            return [x], use(tf.TensorArray(tf.float32, attrs.pop('size', 3), **attrs), x)
        gradient(name, imported(build), 'tensor_array_gradients')

    of('write', lambda a, x: a.write(1, x * 2).read(1), 2, 3)
    of('write twice', lambda a, x: (lambda b: b.read(0) * b.read(1))(a.write(0, x).write(1, x)), 2, clear_after_read=False)
    of('unstack', lambda a, x: a.unstack(x).read(1), 3, 4)
    of('unstack unknown', lambda a, x: a.unstack(x).read(1), None, 4, dynamic_size=True, size=0)
    of('stack', lambda a, x: a.write(0, x).write(1, x).write(2, x).stack(), 4)
    of('scatter gather', lambda a, x: a.scatter([2, 0, 1], x).gather([0, 2]), 3, 4)
    of('split', lambda a, x: a.split(x, [1, 2, 0]).read(1), 3, 4, infer_shape=False)
    of('concat', lambda a, x: a.write(0, x).write(1, x).write(2, x).concat(), 2, 4)
    of('split concat', lambda a, x: a.split(x, [1, 2, 0]).concat(), 3, 4, infer_shape=False)

    array = tf.raw_ops.TensorArrayV3
    for element in (tf.TensorShape(None), [2], [None, 3]):
        for identical in (False, True):
            def build(element=element, identical=identical):
                h, f = array(size=3, dtype=tf.float32, element_shape=element, identical_element_shapes=identical)
                tf.raw_ops.TensorArrayReadV3(handle=h, index=0, flow_in=f, dtype=tf.float32)
                tf.raw_ops.TensorArrayGatherV3(handle=h, indices=[0, 1], flow_in=f, dtype=tf.float32)
                tf.raw_ops.TensorArrayGatherV3(handle=h, indices=I(None), flow_in=f, dtype=tf.float32, element_shape=[4, None])
                tf.raw_ops.TensorArrayConcatV3(handle=h, flow_in=f, dtype=tf.float32, element_shape_except0=[3])
                tf.raw_ops.TensorArraySizeV3(handle=h, flow_in=f)
                g, f = tf.raw_ops.TensorArrayGradV3(handle=h, flow_in=f, source='g')
                tf.raw_ops.TensorArrayReadV3(handle=g, index=0, flow_in=f, dtype=tf.float32)
                g, f = tf.raw_ops.TensorArrayGradWithShape(handle=h, flow_in=f, shape_to_prepend=[5], source='g')
                tf.raw_ops.TensorArrayReadV3(handle=g, index=0, flow_in=f, dtype=tf.float32)
                f = tf.raw_ops.TensorArrayWriteV3(handle=h, index=0, value=PU(), flow_in=f)
                f = tf.raw_ops.TensorArrayScatterV3(handle=h, indices=I(None), value=PU(), flow_in=f)
                tf.raw_ops.TensorArraySplitV3(handle=h, value=PU(), lengths=tf.placeholder(tf.int64, [None]), flow_in=f)
            shape(build, 'tensor_array_shapes')

    def stack():
        s = tf.raw_ops.StackV2(max_size=3, elem_type=tf.float32)
        tf.raw_ops.StackPushV2(handle=s, elem=P(None, 3))
        tf.raw_ops.StackPopV2(handle=s, elem_type=tf.float32)
    shape(stack, 'tensor_array_shapes')


def vision():
    raw = tf.raw_ops

    def add(name, fn, *shape):
        gradient(name, imported(one(fn, *shape)), 'vision_gradients')

    for batch in (2, None):
        add(f'volume patches {batch}', lambda x: raw.ExtractVolumePatches(input=x, ksizes=[1, 2, 2, 2, 1], strides=[1, 1, 2, 1, 1], padding='SAME'), batch, 4, 3, 5, 2)
        add(f'dilation {batch}', lambda x: tf.nn.dilation2d(x, tf.ones([2, 3, 2]), strides=[1, 1, 2, 1], rates=[1, 2, 1, 1], padding='SAME'), batch, 5, 4, 2)
        add(f'fractional max {batch}', lambda x: raw.FractionalMaxPool(value=x, pooling_ratio=[1, 1.5, 1.5, 1], overlapping=True)[0], batch, 5, 6, 2)
        add(f'scale and translate {batch}', lambda x: raw.ScaleAndTranslate(images=x, size=[3, 3], scale=[.5, .5], translation=[0., 0.], kernel_type='box'), batch, 5, 6, 2)
        add(f'ctc {batch}', lambda x: raw.CTCLoss(inputs=x, labels_indices=tf.placeholder(tf.int64, [None, 2]), labels_values=I(None), sequence_length=I(None))[0],
            7, batch, 4)
        for shape in ([5, 4], None):
            add(f'gamma {batch} {shape}', lambda x, shape=shape: raw.RandomGamma(shape=I(None) if shape is None else shape, alpha=x), batch, 3)
    add('volume patches many', lambda x: raw.ExtractVolumePatches(input=x, ksizes=[1, 3, 3, 3, 1], strides=[1, 1, 1, 1, 1], padding='SAME'), None, 9, 9, 9, 1)
    add('fractional avg', lambda x: raw.FractionalAvgPool(value=x, pooling_ratio=[1, 1.5, 1.5, 1])[0], 2, 5, 6, 2)


def main():
    gradients()
    shapes()
    tensor_arrays()
    vision()
    folder = pathlib.Path(__file__).resolve().parent.parent / 'tests' / 'data' / 'graphs'
    folder.mkdir(parents=True, exist_ok=True)
    for kind, records in RECORDS.items():
        if sys.argv[1:] and kind not in sys.argv[1:]:
            continue
        with tf.io.TFRecordWriter(str(folder / f'{kind}.tfrecord'), 'GZIP') as writer:
            for r in records:
                writer.write(r)
        print(f'{kind}: {len(records)} graphs')


if __name__ == '__main__':
    main()
