# Writes the files of this folder that are Python's: make.py FOLDER
import numpy as np, torch, json, struct, sys
from safetensors.torch import save_file
import safetensors
out=sys.argv[1]
rng=np.random.RandomState(20261125)
f32=rng.randint(0,2**32,size=(3,5),dtype=np.uint64).astype(np.uint32)
f32[0,0]=0x7fc00123; f32[0,1]=0xff800001; f32[1,0]=0x00000001; f32[1,1]=0x80000000
f16=np.arange(0,65536,977,dtype=np.uint32).astype(np.uint16)
bf16=np.arange(0,65536,1021,dtype=np.uint32).astype(np.uint16)
i32=np.array([[-2**31,-1],[0,2**31-1]],dtype=np.int32)
i64=np.array([-2**63,-1,0,2**63-1],dtype=np.int64)
t={
 'matrix':torch.from_numpy(f32.view(np.int32).copy()).view(torch.float32),
 'half':torch.from_numpy(f16.view(np.int16).copy()).view(torch.float16),
 'brain':torch.from_numpy(bf16.view(np.int16).copy()).view(torch.bfloat16),
 'counts':torch.from_numpy(i32), 'long':torch.from_numpy(i64),
 'scalar':torch.tensor(-1.5,dtype=torch.float32), 'empty':torch.zeros((0,4),dtype=torch.float32),
 'größe/µ "quoted"':torch.ones(2,dtype=torch.float32),
}
save_file(t,out+'/python.safetensors',metadata={'format':'pt','note':'line\nbreak, "quotes" and é'})
exp={}
for k,v in t.items():
    b=v.contiguous().view(torch.uint8).numpy().tobytes() if v.dim() else v.reshape(1).view(torch.uint8).numpy().tobytes()
    n={torch.float32:'F32',torch.float16:'F16',torch.bfloat16:'BF16',torch.int32:'I32',torch.int64:'I64'}[v.dtype]
    e={'dtype':n,'shape':list(v.shape),'bytes':b.hex()}
    if v.is_floating_point():
        # By integers: processors make NaNs quiet, and widening need not.
        if v.dtype == torch.float32:
            w = np.frombuffer(b, '<u4')
        elif v.dtype == torch.bfloat16:
            w = np.frombuffer(b, '<u2').astype(np.uint32) << 16
        else:
            u = np.frombuffer(b, '<u2').astype(np.uint32)
            nan = (u & 0x7fff) > 0x7c00
            w = np.where(nan, (u & 0x8000) << 16 | 0x7f800000 | (u & 0x3ff) << 13,
                         np.frombuffer(b, '<f2').astype('<f4').view('<u4'))
        e['float32']=w.tolist()
    exp[k]=e
json.dump({'metadata':{'format':'pt','note':'line\nbreak, "quotes" and é'},'tensors':exp},open(out+'/python.safetensors.json','w'),indent=1,ensure_ascii=False)
# rounding: float32 bits -> bf16, f16 bits, by torch (no NaN)
edge=[0x477fe000,0x477fefff,0x477ff000,0x477ff001,0x38800000,0x387fffff,0x387fe000,0x33800000,0x33000000,0x33000001,0x32ffffff,0x7f7fffff,0x7f7f7fff,0x7f7f8000,0x7f800000,0xff800000,0,0x80000000,1,0x80000001,0x3f808000,0x3f818000,0x3f801000,0x3f803000,0x3f807fff,0x00008000,0x00018000,0x007fffff]
r=rng.randint(0,2**32,size=400,dtype=np.uint64).astype(np.uint32)
r2=((rng.randint(96,146,size=400).astype(np.uint32))<<23)|rng.randint(0,2**23,size=400).astype(np.uint32)
r2=np.where(np.arange(400)%3==0,r2&0xfffff000|0x1000,r2).astype(np.uint32)
bits=np.concatenate([np.array(edge,dtype=np.uint32),r,r2]); bits=bits[(bits&0x7fffffff)<=0x7f800000]
w=torch.from_numpy(bits.view(np.int32).copy()).view(torch.float32)
b=w.to(torch.bfloat16).view(torch.int16).numpy().view(np.uint16)
h=w.to(torch.float16).view(torch.int16).numpy().view(np.uint16)
h2=w.numpy().astype(np.float16).view(np.uint16)
assert (h==h2).all()
json.dump({'float32':bits.tolist(),'bfloat16':b.tolist(),'float16':h.tolist()},open(out+'/rounding.json','w'))
np.save(out+'/python-f4.npy',w.numpy()[:24].reshape(2,3,4)); np.save(out+'/python-f2.npy',h[:7].view(np.float16))
np.save(out+'/python-i4.npy',i32); np.save(out+'/python-i8.npy',i64); np.save(out+'/python-scalar.npy',np.float32(-1.5)); np.save(out+'/python-fortran.npy',np.asfortranarray(w.numpy()[:6].reshape(2,3)))
np.save(out+'/python-empty.npy',np.zeros((0,4),dtype=np.float32))
np.lib.format.write_array(open(out+'/python-version2.npy','wb'),w.numpy()[:3],version=(2,0))
print(safetensors.__version__,np.__version__,torch.__version__)
