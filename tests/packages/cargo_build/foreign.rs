extern "C" {
    fn work_bits(v: u64) -> i32;
    fn work_scale(a: *mut f32, b: *const f32, n: i32);
}

#[no_mangle]
pub extern "C" fn work_all(v: u64, a: *mut f32, b: *const f32) -> i32 {
    unsafe {
        work_scale(a, b, v as i32);
        work_bits(v)
    }
}
