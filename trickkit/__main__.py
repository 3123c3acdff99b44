from trickkit.course.setup import main

main()
