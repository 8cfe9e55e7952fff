use std::env;
use std::process::Command;

fn run(program: &str, arguments: &[&str]) {
    assert!(Command::new(program).args(arguments).status().unwrap().success());
}

fn main() {
    let folder = env::var("OUT_DIR").unwrap();
    let object = format!("{}/loop.o", folder);
    let archive = format!("{}/libloop.a", folder);
    let mut arguments: Vec<&str> = "-O3 -fPIC @FLAGS@ -c loop.c -o".split_whitespace().collect();
    arguments.push(&object);
    run("@COMPILER@", &arguments);
    run("ar", &["rcs", &archive, &object]);
    println!("cargo:rustc-link-search=native={}", folder);
    println!("cargo:rustc-link-lib=static=loop");
}
