#[no_mangle]
pub extern "C" fn work_scale(a: &mut [f32; 256], b: &[f32; 256]) {
    for i in 0..256 {
        a[i] = a[i] * b[i] + 1.0;
    }
}
#[no_mangle]
pub extern "C" fn work_bits(v: u64) -> u32 {
    v.count_ones()
}
